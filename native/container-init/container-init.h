/* container-init carries a plan out; README.md describes the whole. */
#ifndef CONTAINER_INIT_H
#define CONTAINER_INIT_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum {
  CONTROL_FD = 3,  /* stream socket: plan in, reports out */
  TERMINAL_FD = 4, /* unix socket: takes a terminal's master */
  NAMESPACE_SLOTS = 8,
  MAX_PLAN = 4 * 1024 * 1024,
  MAX_STATE = 64 * 1024,
  MAX_DETAIL = 256,
};

/* The arguments of a step that have not been taken yet. */
struct arguments {
  const uint8_t *at;
  const uint8_t *end;
  bool broken;
};

uint32_t take_u32(struct arguments *arguments);
uint64_t take_u64(struct arguments *arguments);
/* Points into the plan; never NULL. */
char *take_string(struct arguments *arguments);
/* Ends with NULL, has `spare` more empty places; lives as long as the process. NULL when out of memory. */
char **take_strings(struct arguments *arguments, size_t spare);
const uint8_t *take_bytes(struct arguments *arguments, uint32_t *length);
/* 0, or -1 and EBADMSG unless all arguments were there and nothing else. */
int all_taken(const struct arguments *arguments);

struct step {
  uint16_t operation;
  bool supervised;
  struct arguments arguments;
};

struct plan {
  uint32_t count;
  struct step *steps;
};

int parse_plan(struct plan *plan, const uint8_t *bytes, size_t length);

/* A program for the kernel to run at every system call. */
struct filter {
  uint32_t flags;
  unsigned short count;
  struct sock_filter instructions[];
};

/* What one of our processes knows; a fork hands it down. */
struct context {
  struct plan plan;
  uint32_t index;     /* the step being carried out */
  pid_t target;       /* in the supervisor: the container's process; else 0, oneself */
  bool forked;        /* this is the container's process */
  int link;           /* packets between the supervisor and the container's process; -1 before the fork */
  int tree;           /* a mount that is not attached yet, or -1 */
  int root;           /* the container's root, or -1 */
  int process;        /* pidfd of a process whose namespaces are joined, or -1 */
  int namespaces[NAMESPACE_SLOTS];
  bool directory_refused; /* the working directory could not be entered as root */
  struct filter *filter;  /* loaded by execute, or NULL */
  char *program;          /* where execute goes, once found */
  char *home;             /* "HOME=...", or NULL */
  char *state;            /* for hooks; `state_length` bytes */
  size_t state_length;
  char detail[MAX_DETAIL]; /* what a failed step has to say besides its errno */
};

/* Carries out the steps from `context->index` on, up to `end`. On failure -1, errno, and the index of the step. */
int carry_out(struct context *context, uint32_t end);

/* Every operation: 0, or -1 and errno (0 when `detail` says it all). */
typedef int operation(struct context *context, struct arguments *arguments);
operation make_process, open_namespace, set_namespace, open_process, join_process, unshare_namespaces, write_proc,
    write_file, bring_loopback_up, set_hostname, set_domainname;
operation set_propagation, mount_root, attach_root, open_source, open_source_in_root, open_filesystem, set_tree_attributes, inherit_mode, copy_up,
    attach_tree, attach_tree_if_possible, set_target_attributes, reconfigure, mask_path, make_path_readonly, make_directory, make_device,
    make_symlink, change_root, require_folder;
operation make_session, make_keyring, open_console, chown_descriptor, take_null_input, set_limit, set_scheduler, set_io_priority,
    set_personality, set_affinity, change_directory, change_directory_as_user, set_umask, drop_bounding_set,
    set_identity, set_capabilities, forbid_new_privileges, filter_calls, filter_calls_at_execute;
operation find_program, find_home, wait_at_barrier, run_hook, execute;

/* 0, or -1 and errno. */
int load_filter(struct filter *filter);
/* Appends "HOME=...", or nothing for NULL, to a list that has one more empty place. */
void add_home(char **env, char *home);

/* Packets on the link, all but the reply with a head of this form. */
enum packet { PACKET_REQUEST = 1, PACKET_FORKED, PACKET_REACHED, PACKET_EXECUTING, PACKET_FAILED };
struct packet_head {
  uint32_t type;
  uint32_t index;
  int32_t value; /* request: end; forked: pid; failed: errno */
};

int send_packet(struct context *context, enum packet type, int32_t value);
/* Has the supervisor carry out the steps from `context->index` up to `end`; takes over the tree it opened. */
int request_supervised(struct context *context, uint32_t end);
/* The container's process has failed: tells the supervisor and ends. */
_Noreturn void fail(struct context *context);
/* The life of the supervisor from the fork on. */
_Noreturn void supervise(struct context *context, int pidfd);

enum report { REPORT_REACHED = 1, REPORT_STARTED, REPORT_FAILED, REPORT_EXITED };
void report(enum report type, const uint32_t *words, size_t count, const char *text);
void report_failure(const struct context *context);

/* Paths inside the container's root; links and ".." never lead out of it. All descriptors are O_CLOEXEC. */
int root_of(struct context *context);
int open_in_root(int root, const char *path, uint64_t flags);
/* Opens (O_PATH) what is at the path; makes it, an empty file or a folder, and the folders above it, if it is missing. */
int make_in_root(int root, const char *path, bool directory, mode_t mode);
/* The same for the folder that holds the path; `*name` is the last component. */
int make_parent_in_root(int root, const char *path, const char **name);

/* Closes `fd` and returns `result`; errno stays what it was. */
int close_and_return(int fd, int result);

/* mounts.c: moves an open mount to an open place, and changes the attributes of an open mount. */
int move_to(int tree, int target);
struct mount_attr;
int set_attributes(int fd, bool recursive, struct mount_attr *attributes);
/* Attaches an open mount at a path, which is made if it is missing. */
int attach(struct context *context, int tree, const char *target);

#endif

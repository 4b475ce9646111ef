/*
 * vhost-proxy-fork-trial FORK-SERVER.so VHOST-PROXY.so [alone]: a program with both libraries, which are preloaded as into
 * QEMU, has a device; once that is gone it is forked, and each copy has a device of its own. With "alone" the control
 * socket of the one that is forked has no peer any more.
 */
#include "../trial/trial.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

enum { COPIES = 3, REQUESTS_EACH = 200, USER = 2000000000 };

/* The fork server's library asks libseccomp for QEMU's filter. This one allows everything. */
__attribute__((visibility("default"))) int seccomp_export_bpf(void *context, int fd) {
  struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  (void)context;
  return write(fd, &allow, sizeof allow) == sizeof allow ? 0 : -1;
}

static void use_device(uint8_t seed) {
  attach();
  serve_echo(NONE);
  start_device();
  for (int each = 0; each < REQUESTS_EACH; each++) {
    struct vring_desc *table = trial_rings[1].desc;
    memset(ram(FAR), seed + each, 100);
    set_descriptor(table, 0, FAR, 100, VRING_DESC_F_NEXT, 1);
    set_descriptor(table, 1, FAR + 4096, 100, VRING_DESC_F_WRITE, 0);
    submit(1, 0);
    expect(completed(1, 1) && last_used(1).len == 100);
    expect(*ram(FAR + 4096 + 99) == ((uint8_t)(seed + each) ^ 0x5a));
  }
  detach();
  expect(said()[0] == '\0');
}

/* What QEMU is here: its main thread waits in poll(2), and goes on in each copy. */
static void be_qemu(int begin, bool is_alone) {
  struct pollfd watched = {.fd = begin, .events = POLLIN};
  char seed;
  int (*load)(void *) = (int (*)(void *))dlsym(RTLD_DEFAULT, "seccomp_load");
  expect(load != NULL && load(NULL) == 0);
  alarm(60);
  make_ram();
  use_device(1);
  /* The number stays taken, so that a copy's own socket comes under another one first. */
  if (is_alone) expect(dup2(open("/dev/null", O_RDWR), control) == control);
  expect(write(begin, "r", 1) == 1);
  expect(fcntl(begin, F_SETFL, O_NONBLOCK) == 0);
  while (poll(&watched, 1, -1) <= 0) continue;
  /* A copy's own socket does not wait either. */
  expect((fcntl(begin, F_GETFL) & O_NONBLOCK) != 0);
  expect(read(begin, &seed, 1) == 1);
  use_device((uint8_t)seed);
  exit(0);
}

static void pair(int fds[2]) { expect(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0); }

static void preload(char **words, int maker, int listener, int proxy) {
  char text[1024];
  snprintf(text, sizeof text, "%s:%s", words[1], words[2]);
  setenv("LD_PRELOAD", text, 1);
  snprintf(text, sizeof text, "%d,%d", maker, listener);
  setenv("CAISSON_FORK_SERVER", text, 1);
  snprintf(text, sizeof text, "%d", proxy);
  setenv("CAISSON_VHOST_PROXY", text, 1);
}

static int listen_anywhere(struct sockaddr_un *address, socklen_t *length) {
  int listener = socket(AF_UNIX, SOCK_STREAM, 0);
  *length = sizeof *address;
  *address = (struct sockaddr_un){.sun_family = AF_UNIX};
  expect(bind(listener, (struct sockaddr *)address, sizeof(sa_family_t)) == 0 && listen(listener, COPIES) == 0);
  expect(getsockname(listener, (struct sockaddr *)address, length) == 0);
  return listener;
}

static void hear(int socket, const char *beginning) {
  char line[256] = "";
  expect(recv(socket, line, sizeof line - 1, 0) > 0);
  if (strncmp(line, beginning, strlen(beginning)) != 0) fprintf(stderr, "hears: %s", line);
  expect(strncmp(line, beginning, strlen(beginning)) == 0);
}

/* The copy is to be this user. Three sockets of its own take the places of the forked program's: N, its peer, and the one to
 * begin by. */
static int ask_for_copy(const struct sockaddr_un *address, socklen_t length, const int numbers[4], int *begin) {
  union {
    char bytes[CMSG_SPACE(3 * sizeof(int))];
    struct cmsghdr align;
  } rights = {0};
  int connection = socket(AF_UNIX, SOCK_STREAM, 0), proxy[2], beginning[2];
  pair(proxy);
  pair(beginning);
  int fds[] = {proxy[0], proxy[1], beginning[0]};
  struct iovec data = {.iov_base = (void *)(uintptr_t)numbers, .iov_len = 4 * sizeof(int)};
  struct msghdr message = {
      .msg_iov = &data, .msg_iovlen = 1, .msg_control = rights.bytes, .msg_controllen = sizeof rights.bytes};
  struct cmsghdr *header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof fds);
  memcpy(CMSG_DATA(header), fds, sizeof fds);
  expect(connect(connection, (const struct sockaddr *)address, length) == 0);
  expect(sendmsg(connection, &message, 0) == 4 * sizeof(int));
  for (int each = 0; each < 3; each++) close(fds[each]);
  hear(connection, "pid ");
  *begin = beginning[1];
  return connection;
}

int main(int count, char **words) {
  if (count > 4) {
    control = atoi(words[3]);
    be_qemu(atoi(words[4]), count > 5);
  }
  expect(count >= 3);
  int maker[2], proxy[2], begin[2], begins[COPIES], connections[COPIES], status;
  struct sockaddr_un address;
  socklen_t length;
  int listener = listen_anywhere(&address, &length);
  pair(maker);
  pair(proxy);
  pair(begin);
  alarm(60);
  pid_t pid = fork();
  if (pid == 0) {
    char numbers[2][16];
    snprintf(numbers[0], sizeof numbers[0], "%d", proxy[1]);
    snprintf(numbers[1], sizeof numbers[1], "%d", begin[0]);
    close(begin[1]);
    close(maker[0]);
    preload(words, maker[1], listener, proxy[0]);
    execl("/proc/self/exe", words[0], words[1], words[2], numbers[0], numbers[1], words[3], NULL);
    _exit(1);
  }
  int numbers[] = {USER, proxy[0], proxy[1], begin[0]};
  close(proxy[0]);
  close(proxy[1]);
  close(begin[0]);
  close(maker[1]);
  hear(begin[1], "r");
  expect(send(maker[0], "x", 1, 0) == 1);
  hear(maker[0], "ready");
  expect(send(maker[0], "x", 1, 0) == 1);
  for (int each = 0; each < COPIES; each++)
    connections[each] = ask_for_copy(&address, length, numbers, &begins[each]);
  for (int each = 0; each < COPIES; each++) expect(send(begins[each], &(char){(char)(10 + each)}, 1, 0) == 1);
  for (int each = 0; each < COPIES; each++) hear(connections[each], "exit 0");
  kill(pid, SIGKILL);
  waitpid(pid, &status, 0);
  return 0;
}

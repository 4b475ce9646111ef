/* The guest's PID 1, in the order in which it does its work (main.c). */
#ifndef CAISSON_INIT_H
#define CAISSON_INIT_H

/* console.c */

/* Writes one line to the console, prefixed with the program's name. */
__attribute__((format(printf, 1, 2))) void say(const char *format, ...);
/* Says what failed and why (errno), and restarts the machine: QEMU, run with -no-reboot, ends, and the host sees a
 * guest-reset it did not ask for. */
__attribute__((noreturn, format(printf, 1, 2))) void die(const char *format, ...);

/* modules.c */

/* Loads the modules of `list` whose device is there, each with all it needs, and writes its settings, in the list's order. */
void load_modules(const char *list);

/* root.c */

/* Waits for the root device, mounts it on `target`, empties the initramfs and makes `target` the root. */
void switch_root(const char *device, const char *type, const char *target);

/* system.c */

void write_file(const char *path, const char *text);
/* Mounts what every Linux system has, and enables every cgroup controller. */
void mount_system(void);
/* Sets host name, loopback interface and resource limits. */
void configure_system(void);

/* supervise.c */

/* Starts the agent, reaps every orphan, and ends the VM when the agent has ended or SIGTERM asked for it. */
__attribute__((noreturn)) void supervise(char *const argv[], char *const environment[]);

#endif

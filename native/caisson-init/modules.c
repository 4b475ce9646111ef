#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "caisson-init.h"

#define VIRTIO_DEVICES "/sys/bus/virtio/devices"
/* Virtio device ids are small (the specification's section 5 lists them). */
#define MAX_VIRTIO_ID 64

static bool has_entries(const char *folder)
{
  DIR *stream = opendir(folder);
  if (stream == NULL)
    return false;
  bool found = false;
  for (struct dirent *entry; !found && (entry = readdir(stream)) != NULL;)
    found = entry->d_name[0] != '.';
  closedir(stream);
  return found;
}

static void find_virtio_ids(bool present[MAX_VIRTIO_ID])
{
  memset(present, 0, MAX_VIRTIO_ID * sizeof *present);
  DIR *stream = opendir(VIRTIO_DEVICES);
  if (stream == NULL)
    return;
  for (struct dirent *entry; (entry = readdir(stream)) != NULL;) {
    char path[sizeof VIRTIO_DEVICES + sizeof entry->d_name + sizeof "/device"];
    snprintf(path, sizeof path, VIRTIO_DEVICES "/%s/device", entry->d_name);
    FILE *file = fopen(path, "re");
    if (file == NULL)
      continue;
    unsigned int id;
    if (fscanf(file, "%x", &id) == 1 && id < MAX_VIRTIO_ID)
      present[id] = true;
    fclose(file);
  }
  closedir(stream);
}

/* Whether a module is in the kernel. finit_module would find that out only after reading and hashing the file. */
static bool is_loaded(const char *path)
{
  const char *slash = strrchr(path, '/');
  char entry[256];
  snprintf(entry, sizeof entry, "/sys/module/%s", slash == NULL ? path : slash + 1);
  char *suffix = strrchr(entry, '.');
  if (suffix != NULL)
    *suffix = '\0';
  for (char *each = entry; *each != '\0'; each++)
    if (*each == '-')
      *each = '_';
  return access(entry, F_OK) == 0;
}

static void load(const char *path)
{
  if (is_loaded(path))
    return;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0)
    die("open module %s", path);
  /* ENODEV: crc32c-intel and its like refuse a CPU without the instruction; the generic module does the work then. */
  if (syscall(SYS_finit_module, fd, "", 0) < 0 && errno != ENODEV)
    die("load module %s", path);
  close(fd);
}

/* Whether the device that a condition of the list names is there: `always`, `path:FOLDER` (which has an entry), or
 * `virtio:ID`. The virtio ids are read when they are first asked for: the buses' drivers come earlier in the list. */
static bool holds(const char *condition, bool ids[MAX_VIRTIO_ID], bool *ids_read)
{
  if (strcmp(condition, "always") == 0)
    return true;
  if (strncmp(condition, "path:", 5) == 0)
    return has_entries(condition + 5);
  if (strncmp(condition, "virtio:", 7) != 0) {
    errno = EINVAL;
    die("module list, condition %s", condition);
  }
  if (!*ids_read)
    find_virtio_ids(ids);
  *ids_read = true;
  unsigned long id = strtoul(condition + 7, NULL, 10);
  return id < MAX_VIRTIO_ID && ids[id];
}

void load_modules(const char *list)
{
  FILE *file = fopen(list, "re");
  if (file == NULL)
    die("open module list %s", list);
  bool ids[MAX_VIRTIO_ID];
  bool ids_read = false;
  char line[1024];
  while (fgets(line, sizeof line, file) != NULL) {
    char *rest = NULL;
    char *condition = strtok_r(line, " \n", &rest);
    if (condition == NULL || !holds(condition, ids, &ids_read))
      continue;
    for (char *word; (word = strtok_r(NULL, " \n", &rest)) != NULL;) {
      char *value = strchr(word, '=');
      if (value == NULL) {
        load(word);
      } else {
        *value = '\0';
        write_file(word, value + 1);
      }
    }
  }
  fclose(file);
}

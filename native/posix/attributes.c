#include "posix.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/xattr.h>

napi_value posix_has_attribute(napi_env env, napi_callback_info info) {
  napi_value arguments[2], result = NULL;
  char *path = NULL, *name = NULL;
  if (read_arguments(env, info, 2, arguments) && read_string(env, arguments[0], false, &path) &&
      read_string(env, arguments[1], false, &name)) {
    bool has = getxattr(path, name, NULL, 0) >= 0;
    if (has || errno == ENODATA || errno == EOPNOTSUPP)
      napi_get_boolean(env, has, &result);
    else
      throw_errno(env, errno, "getxattr", path);
  }
  free(path);
  free(name);
  return result;
}

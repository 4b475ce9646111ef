#include "napi.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool refuse(napi_env env, const char *message) {
  napi_throw_type_error(env, "ERR_INVALID_ARG_TYPE", message);
  return false;
}

static bool set_string(napi_env env, napi_value object, const char *name, const char *text) {
  napi_value value;
  return napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &value) == napi_ok &&
         napi_set_named_property(env, object, name, value) == napi_ok;
}

napi_value make_error(napi_env env, int error, const char *syscall, const char *subject) {
  /* glibc's names, since libuv knows only those that its own calls meet: a mount can fail with many more. */
  const char *code = strerrorname_np(error);
  const char *reason = strerrordesc_np(error);
  if (code == NULL || reason == NULL) code = reason = "EUNKNOWN";
  char message[512];
  if (subject == NULL)
    snprintf(message, sizeof message, "%s: %s, %s", code, reason, syscall);
  else
    snprintf(message, sizeof message, "%s: %s, %s '%s'", code, reason, syscall, subject);
  napi_value text, object;
  if (napi_create_string_utf8(env, message, NAPI_AUTO_LENGTH, &text) != napi_ok) return NULL;
  if (napi_create_error(env, NULL, text, &object) != napi_ok) return NULL;
  if (!set_string(env, object, "code", code) || !set_string(env, object, "syscall", syscall) ||
      !set_int(env, object, "errno", -(int64_t)error))
    return NULL;
  return object;
}

napi_value throw_errno(napi_env env, int error, const char *syscall, const char *subject) {
  napi_value object = make_error(env, error, syscall, subject);
  if (object != NULL) napi_throw(env, object);
  return NULL;
}

bool read_arguments(napi_env env, napi_callback_info info, size_t count, napi_value *values) {
  /* Missing arguments read as undefined, which the typed readers refuse. */
  return napi_get_cb_info(env, info, &count, values, NULL, NULL) == napi_ok;
}

bool read_int(napi_env env, napi_value value, int *out) {
  double number;
  if (napi_get_value_double(env, value, &number) != napi_ok || !(number >= INT32_MIN && number <= INT32_MAX) ||
      number != (int)number)
    return refuse(env, "The argument must be a 32-bit integer.");
  *out = (int)number;
  return true;
}

bool read_uint32(napi_env env, napi_value value, uint32_t *out) {
  double number;
  if (napi_get_value_double(env, value, &number) != napi_ok || !(number >= 0 && number <= UINT32_MAX) ||
      number != (uint32_t)number)
    return refuse(env, "The argument must be an unsigned 32-bit integer.");
  *out = (uint32_t)number;
  return true;
}

bool read_flags(napi_env env, napi_value value, unsigned long *out) {
  /* `a | b` in JavaScript is a signed 32-bit number: with bit 31 set it arrives as a negative one. */
  double number;
  if (napi_get_value_double(env, value, &number) != napi_ok || !(number >= INT32_MIN && number <= UINT32_MAX) ||
      number != (double)(int64_t)number)
    return refuse(env, "The flags must be a 32-bit integer.");
  *out = (uint32_t)(int64_t)number;
  return true;
}

bool read_bool(napi_env env, napi_value value, bool *out) {
  return napi_get_value_bool(env, value, out) == napi_ok || refuse(env, "The argument must be a boolean.");
}

bool read_string(napi_env env, napi_value value, bool nullable, char **out) {
  *out = NULL;
  napi_valuetype type;
  if (napi_typeof(env, value, &type) != napi_ok) return refuse(env, "The argument must be a string.");
  if (type == napi_null || type == napi_undefined) return nullable || refuse(env, "The argument must be a string.");
  size_t length;
  if (type != napi_string || napi_get_value_string_utf8(env, value, NULL, 0, &length) != napi_ok)
    return refuse(env, "The argument must be a string.");
  char *text = malloc(length + 1);
  if (text == NULL) {
    throw_errno(env, ENOMEM, "malloc", NULL);
    return false;
  }
  napi_get_value_string_utf8(env, value, text, length + 1, &length);
  text[length] = '\0';
  if (strlen(text) != length) {
    free(text);
    return refuse(env, "The string must not contain a null byte.");
  }
  *out = text;
  return true;
}

bool read_bytes(napi_env env, napi_value value, void **data, size_t *length) {
  bool is_buffer;
  if (napi_is_buffer(env, value, &is_buffer) != napi_ok || !is_buffer ||
      napi_get_buffer_info(env, value, data, length) != napi_ok)
    return refuse(env, "The argument must be a Buffer or a typed array.");
  return true;
}

napi_value make_int(napi_env env, int64_t value) {
  napi_value number;
  return napi_create_int64(env, value, &number) == napi_ok ? number : NULL;
}

napi_value make_undefined(napi_env env) {
  napi_value value;
  return napi_get_undefined(env, &value) == napi_ok ? value : NULL;
}

bool set_int(napi_env env, napi_value object, const char *name, int64_t value) {
  napi_value number = make_int(env, value);
  return number != NULL && napi_set_named_property(env, object, name, number) == napi_ok;
}

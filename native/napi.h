#ifndef CAISSON_NAPI_H
#define CAISSON_NAPI_H

#include <node_api.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Every function here that returns bool returns false with a JavaScript exception pending. */

/* Throws what node:fs would: an Error with code (ENOENT), errno (negative) and syscall. `subject` may be NULL. */
napi_value throw_errno(napi_env env, int error, const char *syscall, const char *subject);

/* Does what throw_errno does, but returns the Error instead of throwing it. */
napi_value make_error(napi_env env, int error, const char *syscall, const char *subject);

bool read_arguments(napi_env env, napi_callback_info info, size_t count, napi_value *values);
bool read_int(napi_env env, napi_value value, int *out);
bool read_uint32(napi_env env, napi_value value, uint32_t *out);
bool read_flags(napi_env env, napi_value value, unsigned long *out);
bool read_bool(napi_env env, napi_value value, bool *out);
/* A copy for the caller to free; *out is NULL for null or undefined, which are refused unless nullable. */
bool read_string(napi_env env, napi_value value, bool nullable, char **out);
/* The bytes stay valid for the call only. */
bool read_bytes(napi_env env, napi_value value, void **data, size_t *length);

napi_value make_int(napi_env env, int64_t value);
napi_value make_undefined(napi_env env);
bool set_int(napi_env env, napi_value object, const char *name, int64_t value);

#endif

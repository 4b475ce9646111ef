#ifndef CAISSON_VSOCK_H
#define CAISSON_VSOCK_H

#include "napi.h"

/* poller.c */
napi_value poller_start(napi_env env, napi_callback_info info);
napi_value poller_add(napi_env env, napi_callback_info info);
napi_value poller_change(napi_env env, napi_callback_info info);
napi_value poller_remove(napi_env env, napi_callback_info info);
napi_value poller_ref(napi_env env, napi_callback_info info);

/* carry-addon.c */
napi_value carry_call_start(napi_env env, napi_callback_info info);
napi_value carry_call_limit(napi_env env, napi_callback_info info);
napi_value carry_call_let_go(napi_env env, napi_callback_info info);
napi_value carry_call_stop(napi_env env, napi_callback_info info);

/* stream.c */
napi_value stream_open(napi_env env, napi_callback_info info);
napi_value stream_is_terminal(napi_env env, napi_callback_info info);
napi_value stream_read(napi_env env, napi_callback_info info);
napi_value stream_write(napi_env env, napi_callback_info info);
napi_value stream_shutdown(napi_env env, napi_callback_info info);
napi_value stream_error(napi_env env, napi_callback_info info);

/* socket.c */
napi_value vsock_connect(napi_env env, napi_callback_info info);
napi_value vsock_listen(napi_env env, napi_callback_info info);
napi_value vsock_accept(napi_env env, napi_callback_info info);
napi_value vsock_socket_error(napi_env env, napi_callback_info info);
napi_value vsock_local_address(napi_env env, napi_callback_info info);
napi_value vsock_remote_address(napi_env env, napi_callback_info info);

#endif

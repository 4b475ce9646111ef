#ifndef CAISSON_POSIX_H
#define CAISSON_POSIX_H

#include "napi.h"

/* descriptors.c */
napi_value posix_socketpair(napi_env env, napi_callback_info info);
napi_value posix_pipe(napi_env env, napi_callback_info info);
napi_value posix_connect_unix(napi_env env, napi_callback_info info);
napi_value posix_listen_unix(napi_env env, napi_callback_info info);
napi_value posix_send_fds(napi_env env, napi_callback_info info);
napi_value posix_recv_fd(napi_env env, napi_callback_info info);
napi_value posix_pidfd_open(napi_env env, napi_callback_info info);
napi_value posix_take_fd(napi_env env, napi_callback_info info);
napi_value posix_dup2(napi_env env, napi_callback_info info);
napi_value posix_next_data(napi_env env, napi_callback_info info);
napi_value posix_close_on_exec_from(napi_env env, napi_callback_info info);
napi_value posix_flock(napi_env env, napi_callback_info info);
napi_value posix_lock_byte(napi_env env, napi_callback_info info);
napi_value posix_share_byte(napi_env env, napi_callback_info info);
napi_value posix_is_byte_shared(napi_env env, napi_callback_info info);
napi_value posix_syncfs(napi_env env, napi_callback_info info);

/* terminal.c */
napi_value posix_openpty(napi_env env, napi_callback_info info);
napi_value posix_set_winsize(napi_env env, napi_callback_info info);
napi_value posix_get_winsize(napi_env env, napi_callback_info info);
napi_value posix_make_raw(napi_env env, napi_callback_info info);
napi_value posix_get_onlcr(napi_env env, napi_callback_info info);
napi_value posix_set_onlcr(napi_env env, napi_callback_info info);
napi_value posix_set_controlling_terminal(napi_env env, napi_callback_info info);

/* text.c */
napi_value posix_map_text(napi_env env, napi_callback_info info);

/* signals.c */
napi_value posix_unblock_signal(napi_env env, napi_callback_info info);

/* namespaces.c */
napi_value posix_unshare(napi_env env, napi_callback_info info);
napi_value posix_setns(napi_env env, napi_callback_info info);
napi_value posix_chroot(napi_env env, napi_callback_info info);
napi_value posix_pivot_root(napi_env env, napi_callback_info info);
napi_value posix_mount(napi_env env, napi_callback_info info);
napi_value posix_umount(napi_env env, napi_callback_info info);
napi_value posix_clone_mounts(napi_env env, napi_callback_info info);
napi_value posix_spawn_program(napi_env env, napi_callback_info info);
napi_value posix_reap(napi_env env, napi_callback_info info);
napi_value posix_exit_at_once(napi_env env, napi_callback_info info);
napi_value posix_trim_memory(napi_env env, napi_callback_info info);
napi_value posix_set_read_only(napi_env env, napi_callback_info info);
napi_value posix_attach_mounts(napi_env env, napi_callback_info info);

/* id-map.c */
napi_value posix_id_map(napi_env env, napi_callback_info info);
napi_value posix_map_ids(napi_env env, napi_callback_info info);

/* peers.c */
napi_value posix_peer_credentials(napi_env env, napi_callback_info info);
napi_value posix_connect_unix_as(napi_env env, napi_callback_info info);

/* network.c */
napi_value posix_netlink_socket(napi_env env, napi_callback_info info);
napi_value posix_netlink_watch(napi_env env, napi_callback_info info);
napi_value posix_open_tap(napi_env env, napi_callback_info info);

/* attributes.c */
napi_value posix_has_attribute(napi_env env, napi_callback_info info);

/* kernel.c */
napi_value posix_clock_settime(napi_env env, napi_callback_info info);
napi_value posix_realtime(napi_env env, napi_callback_info info);
napi_value posix_adjust_realtime(napi_env env, napi_callback_info info);
napi_value posix_slew_realtime(napi_env env, napi_callback_info info);
napi_value posix_add_entropy(napi_env env, napi_callback_info info);
napi_value posix_load_device_filter(napi_env env, napi_callback_info info);
napi_value posix_attach_device_filter(napi_env env, napi_callback_info info);
napi_value posix_read_tsc(napi_env env, napi_callback_info info);

/* constants.c */
bool posix_define_constants(napi_env env, napi_value exports);

#endif

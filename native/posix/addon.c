#include "posix.h"

#define FUNCTION(name, function) {name, NULL, function, NULL, NULL, NULL, napi_enumerable, NULL}

NAPI_MODULE_INIT() {
  const napi_property_descriptor functions[] = {
      FUNCTION("socketpair", posix_socketpair),
      FUNCTION("pipe", posix_pipe),
      FUNCTION("connectUnix", posix_connect_unix),
      FUNCTION("listenUnix", posix_listen_unix),
      FUNCTION("sendFds", posix_send_fds),
      FUNCTION("recvFd", posix_recv_fd),
      FUNCTION("pidfdOpen", posix_pidfd_open),
      FUNCTION("takeFd", posix_take_fd),
      FUNCTION("dup2", posix_dup2),
      FUNCTION("nextData", posix_next_data),
      FUNCTION("closeOnExecFrom", posix_close_on_exec_from),
      FUNCTION("flock", posix_flock),
      FUNCTION("lockByte", posix_lock_byte),
      FUNCTION("shareByte", posix_share_byte),
      FUNCTION("isByteShared", posix_is_byte_shared),
      FUNCTION("spawnProgram", posix_spawn_program),
      FUNCTION("reap", posix_reap),
      FUNCTION("trimMemory", posix_trim_memory),
      FUNCTION("syncfs", posix_syncfs),
      FUNCTION("openpty", posix_openpty),
      FUNCTION("setWinsize", posix_set_winsize),
      FUNCTION("getWinsize", posix_get_winsize),
      FUNCTION("makeRaw", posix_make_raw),
      FUNCTION("getOnlcr", posix_get_onlcr),
      FUNCTION("setOnlcr", posix_set_onlcr),
      FUNCTION("setControllingTerminal", posix_set_controlling_terminal),
      FUNCTION("unblockSignal", posix_unblock_signal),
      FUNCTION("unshare", posix_unshare),
      FUNCTION("setns", posix_setns),
      FUNCTION("chroot", posix_chroot),
      FUNCTION("pivotRoot", posix_pivot_root),
      FUNCTION("netlinkSocket", posix_netlink_socket),
      FUNCTION("netlinkWatch", posix_netlink_watch),
      FUNCTION("openTap", posix_open_tap),
      FUNCTION("mount", posix_mount),
      FUNCTION("umount", posix_umount),
      FUNCTION("cloneMounts", posix_clone_mounts),
      FUNCTION("setReadOnly", posix_set_read_only),
      FUNCTION("attachMounts", posix_attach_mounts),
      FUNCTION("hasAttribute", posix_has_attribute),
      FUNCTION("idMap", posix_id_map),
      FUNCTION("peerCredentials", posix_peer_credentials),
      FUNCTION("connectUnixAs", posix_connect_unix_as),
      FUNCTION("mapIds", posix_map_ids),
      FUNCTION("clockSettime", posix_clock_settime),
      FUNCTION("realtime", posix_realtime),
      FUNCTION("adjustRealtime", posix_adjust_realtime),
      FUNCTION("slewRealtime", posix_slew_realtime),
      FUNCTION("addEntropy", posix_add_entropy),
      FUNCTION("loadDeviceFilter", posix_load_device_filter),
      FUNCTION("attachDeviceFilter", posix_attach_device_filter),
      FUNCTION("readTsc", posix_read_tsc),
  };
  if (napi_define_properties(env, exports, sizeof functions / sizeof functions[0], functions) != napi_ok ||
      !posix_define_constants(env, exports))
    return NULL;
  return exports;
}

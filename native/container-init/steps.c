/* The table has a line for each operation of agent/container-init/steps.ts. A code keeps its meaning for ever. */
#include <errno.h>

#include "container-init.h"

static operation *const operations[] = {
    [1] = make_process,
    [2] = open_namespace,
    [3] = set_namespace,
    [4] = open_process,
    [5] = join_process,
    [6] = write_proc,
    [7] = write_file,
    [8] = bring_loopback_up,
    [9] = set_hostname,
    [10] = set_domainname,
    [12] = unshare_namespaces,
    [20] = set_propagation,
    [21] = mount_root,
    [22] = open_source,
    [23] = open_filesystem,
    [24] = set_tree_attributes,
    [25] = inherit_mode,
    [26] = copy_up,
    [27] = attach_tree,
    [28] = set_target_attributes,
    [29] = reconfigure,
    [30] = mask_path,
    [31] = make_path_readonly,
    [32] = make_directory,
    [33] = make_device,
    [34] = make_symlink,
    [35] = change_root,
    [36] = attach_root,
    [37] = require_folder,
    [38] = open_source_in_root,
    [39] = attach_tree_if_possible,
    [50] = make_session,
    [51] = make_keyring,
    [52] = open_console,
    [53] = chown_descriptor,
    [54] = set_limit,
    [55] = set_scheduler,
    [56] = set_io_priority,
    [57] = set_personality,
    [58] = set_affinity,
    [59] = change_directory,
    [60] = change_directory_as_user,
    [61] = set_umask,
    [62] = drop_bounding_set,
    [63] = set_identity,
    [64] = set_capabilities,
    [65] = forbid_new_privileges,
    [66] = filter_calls,
    [67] = filter_calls_at_execute,
    [68] = take_null_input,
    [80] = find_program,
    [81] = wait_at_barrier,
    [82] = run_hook,
    [83] = execute,
    [84] = find_home,
};

int carry_out(struct context *context, uint32_t end) {
  while (context->index < end) {
    struct step *step = &context->plan.steps[context->index];
    if (step->supervised && context->forked) {
      uint32_t run = context->index;
      while (run < end && context->plan.steps[run].supervised) run++;
      if (request_supervised(context, run) < 0) return -1;
      context->index = run;
      continue;
    }
    if (step->operation >= sizeof operations / sizeof *operations || operations[step->operation] == NULL) {
      errno = EBADMSG;
      return -1;
    }
    /* A copy: the supervisor has the same plan, and nothing is used up in it. */
    struct arguments arguments = step->arguments;
    if (operations[step->operation](context, &arguments) < 0) return -1;
    context->index++;
  }
  return 0;
}

/** The names of the Task service, which has the same methods under both. */
export const TASK_SERVICES = ["containerd.task.v2.Task", "containerd.task.v3.Task"] as const;
/** What containerd makes sandboxes by. */
export const SANDBOX_SERVICE = "containerd.runtime.sandbox.v1.Sandbox";

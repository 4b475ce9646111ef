/** Variables as spawnProgram() takes a process's environment: NAME=VALUE each. */
export function environmentList(variables: NodeJS.ProcessEnv): string[] {
  return Object.entries(variables).map(([name, value]) => `${name}=${value}`);
}

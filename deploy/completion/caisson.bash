# Completion of caisson's commands for bash; install as /usr/share/bash-completion/completions/caisson.

_caisson_words() {
  case $1 in
    check) echo "--json --kubernetes --help" ;;
    collect) echo "--output --no-check --help" ;;
    create) echo "--bundle --console-socket --pid-file --pidfd-socket --no-pivot --no-new-keyring --preserve-fds --help" ;;
    delete) echo "--force --regex --help" ;;
    events) echo "--interval --stats --help" ;;
    exec) echo "--process --tty --user --additional-gids --env --cwd --cap --no-new-privs --detach --console-socket
      --pid-file --pidfd-socket --ignore-paused --preserve-fds --process-label --apparmor --cgroup --help" ;;
    kill) echo "--all --help" ;;
    list) echo "--format --quiet --help" ;;
    logs) echo "--guest --console --agent --lines --follow --help" ;;
    monitor) echo "--listen --help" ;;
    ps) echo "--format --help" ;;
    run) echo "--bundle --console-socket --detach --keep --pid-file --pidfd-socket --no-subreaper --no-pivot --no-new-keyring
      --preserve-fds --help" ;;
    spec) echo "--bundle --rootless --help" ;;
    template) echo "build list rm --bundle --format --quiet --all --stale --help" ;;
    trace) echo "--output --help" ;;
    update) echo "--resources --blkio-weight --cpu-period --cpu-quota --cpu-burst --cpu-share --cpu-rt-period
      --cpu-rt-runtime --cpu-idle --cpuset-cpus --cpuset-mems --memory --memory-reservation --memory-swap --pids-limit
      --l3-cache-schema --mem-bw-schema --help" ;;
    checkpoint | features | metrics | pause | restore | resume | shell | start | state) echo "--help" ;;
    *) echo "--root --log --log-format --debug --config --trace --rootless --systemd-cgroup --version --help
      check checkpoint collect create delete events exec features help kill list logs metrics monitor pause ps restore resume run shell spec start state
      template trace update" ;;
  esac
}

_caisson() {
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} verb="" id="" i
  local -a root=()
  COMPREPLY=()
  for ((i = 1; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      --root) root=(--root "${COMP_WORDS[++i]}") ;;
      --log | --log-format | --config | --trace | --rootless) [[ $verb ]] || i=$((i + 1)) ;;
      -*) ;;
      *) if [[ ! $verb ]]; then verb=${COMP_WORDS[i]}; else id=${COMP_WORDS[i]}; fi ;;
    esac
  done
  case $previous in
    --root | --bundle | -b) mapfile -t COMPREPLY < <(compgen -d -- "$current") && return ;;
    --log | --config | --trace | --pid-file | --pidfd-socket | --console-socket | --process | --resources)
      mapfile -t COMPREPLY < <(compgen -f -- "$current") && return ;;
    --log-format) mapfile -t COMPREPLY < <(compgen -W "text json" -- "$current") && return ;;
    --format) mapfile -t COMPREPLY < <(compgen -W "table json" -- "$current") && return ;;
  esac
  local words
  words=$(_caisson_words "$verb")
  if [[ $current != -* && ! $id ]]; then
    case $verb in
      delete | events | exec | kill | logs | pause | ps | resume | shell | start | state | update)
        words+=" $("${COMP_WORDS[0]}" "${root[@]}" list --quiet 2> /dev/null)" ;;
    esac
  fi
  if [[ $verb == kill && $id ]]; then words="HUP INT QUIT KILL USR1 USR2 TERM STOP CONT"; fi
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}

complete -o filenames -F _caisson caisson

# bash completion for tensorctl: commands, options, and the names of tensors that are there.
# Commands and options are asked of tensorctl itself, so that this file cannot fall behind it.

_tensorctl_options() { # [COMMAND]
    "$tensorctl" "$@" --help 2>/dev/null | sed -n '/^Options:/,/^$/s/^  \(-[^ ]*\).*/\1/p' | tr , '\n'
}

_tensorctl_commands() {
    "$tensorctl" --help 2>/dev/null | sed -n '/^Subcommands:/,/^$/s/^  \([a-z]*\) .*/\1/p'
}

_tensorctl_names() {
    "$tensorctl" "${socket[@]}" ls --names 2>/dev/null
}

_tensorctl() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local tensorctl=${COMP_WORDS[0]} command='' word i candidates=''
    local -a socket=()
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        --socket) socket=(--socket "${COMP_WORDS[++i]}") ;;
        --color | --sort | --prefix | --timeout | --after) ((++i)) ;;
        -*) ;;
        *) [ -n "$command" ] || command=${COMP_WORDS[i]} ;;
        esac
    done
    COMPREPLY=()
    case $previous in
    --socket)
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        return
        ;;
    --color) candidates=$'auto\nalways\nnever' ;;
    --sort) candidates=$'name\nsize\nage\nholders' ;;
    --timeout | --after) return ;;
    --prefix) candidates=$(_tensorctl_names) ;;
    *)
        if [[ $current == -* ]]; then
            candidates=$(_tensorctl_options ${command:+"$command"})
        elif [ -z "$command" ]; then
            candidates=$(_tensorctl_commands)
        else
            case $command in
            ls | stat | holders | rm | wait) candidates=$(_tensorctl_names) ;;
            esac
        fi
        ;;
    esac
    # Quoted, and not by compgen -W, which would run what a stranger put into a name: $(...).
    while IFS= read -r word; do
        if [[ -n $word && $word == "$current"* ]]; then
            COMPREPLY+=("$(printf '%q' "$word")")
        fi
    done <<<"$candidates"
}

complete -F _tensorctl tensorctl

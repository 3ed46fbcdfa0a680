# fish completion for tensorctl: commands, options, and the names of tensors that are there.
# Commands and options are asked of tensorctl itself, so that this file cannot fall behind it.

# The lines of a section of the help: a word, a tab, and what it says.
function __tensorctl_entries # PROGRAM SECTION [COMMAND]
    $argv[1] $argv[3..] --help 2>/dev/null | awk -v heading="$argv[2]:" '
        $0 == heading { inside = 1; next }
        $0 == "" { inside = 0 }
        inside && /^  [^ ]/ {
            split(substr($0, 3), part, /  +/)
            sub(/ .*/, "", part[1])
            count = split(part[1], word, ",")
            for (i = 1; i <= count; ++i) print word[i] "\t" part[2]
        }'
end

function __tensorctl_candidates
    set -l words (commandline -opc)
    set -l tensorctl $words[1]
    set -l previous $words[-1]
    set -l command
    set -l socket
    set -l i 2
    while test $i -le (count $words)
        switch $words[$i]
            case --socket
                set i (math $i + 1)
                set socket --socket $words[$i]
            case --color --sort --prefix --timeout --after
                set i (math $i + 1)
            case '-*'
            case '*'
                set -q command[1]; or set command $words[$i]
        end
        set i (math $i + 1)
    end
    switch $previous
        case --socket
            __fish_complete_path (commandline -ct)
        case --color
            printf '%s\n' auto always never
        case --sort
            printf '%s\n' name size age holders
        case --timeout --after
        case --prefix
            $tensorctl $socket ls --names 2>/dev/null
        case '*'
            if string match -q -- '-*' (commandline -ct)
                __tensorctl_entries $tensorctl Options $command
            else if not set -q command[1]
                __tensorctl_entries $tensorctl Subcommands
            else if contains -- $command ls stat holders rm wait
                $tensorctl $socket ls --names 2>/dev/null
            end
    end
end

complete --command tensorctl --no-files --arguments '(__tensorctl_candidates)'

# zsh -f zsh_offers.zsh FOLDER LINE: what a real zsh, on a terminal of its own, makes of LINE when everything that it
# offers for its last word is put in its place. FOLDER has the completion.
zmodload zsh/zpty
folder=$1 line=$2
zpty shell zsh -f -i
zpty -w shell "PS1= PS2=; unsetopt prompt_sp; fpath=(${(q)folder} \$fpath); autoload -Uz compinit && compinit -u -D"
zpty -w shell "zle -C everything complete-word _generic; bindkey '^I' everything"
zpty -w shell "zstyle ':completion:everything:*' completer _all_matches _complete; zstyle ':completion:*' insert true"
zpty -w shell "show() { zle -I; print -r -- \"<<\$BUFFER>>\"; BUFFER= }; zle -N show; bindkey '^G' show; print re''ady"
zpty -r shell seen '*ready*'
zpty -w -n shell "$line"$'\t\a'
zpty -r shell seen '*<<*>>*'
print -r -- "${${seen##*<<}%%>>*}"
zpty -d shell

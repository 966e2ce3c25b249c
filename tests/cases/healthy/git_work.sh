# git, which runs itself, hooks and a pager, and may tidy up in the background.
export HOME="$PWD" GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b
git init -q r
cd r
printf '#!/bin/sh\n/bin/true\n' > .git/hooks/pre-commit
chmod +x .git/hooks/pre-commit
for i in $(seq 8); do
    echo "$i" > f
    git add f
    git commit -q -m "$i"
done
git clone -q . ../c
git -c core.pager=cat -p log --oneline > /dev/null
git repack -q -a -d
git rebase -q HEAD~3

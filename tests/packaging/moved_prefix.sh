# A prefix works where it is moved to, by pkg-config and by find_package.
. "$(dirname "$0")/common.sh"

install_to "$SCRATCH/first"
mkdir "$SCRATCH/elsewhere"
mv "$SCRATCH/first" "$SCRATCH/elsewhere/moved"
here=$(dirname "$0")
for script in "pkg_config.sh shared" find_package.sh; do
    # shellcheck disable=SC2086 # a script and its argument
    PREFIX=$SCRATCH/elsewhere/moved SCRATCH="$SCRATCH/run" bash $here/$script
done

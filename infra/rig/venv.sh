# Sourced by the rig's scripts, in the root of the checkout: what they build and install is kept under CARGO_TARGET_DIR.

CARGO_TARGET_DIR="$(realpath -m "${CARGO_TARGET_DIR:-target}")"
export CARGO_TARGET_DIR
export RUSTUP_DIST_SERVER=http://127.0.0.1:9 # nothing here may fetch a toolchain
export PYTHONDONTWRITEBYTECODE=1 PIP_DISABLE_PIP_VERSION_CHECK=1
work="$CARGO_TARGET_DIR/rig"
install_s=600
mkdir -p "$work"

# A virtual environment of what a list of requirements names; made once for each version of the list.
environment() {
    local name=$1 list="infra/rig/requirements-$1.txt" into="$work/$1"
    if ! cmp -s "$list" "$into/requirements.txt"; then
        echo "installing $name (once)"
        rm -rf "$into"
        python3 -m venv "$into"
        timeout "$install_s" "$into/bin/pip" install --quiet --requirement "$list"
        cp "$list" "$into/requirements.txt"
    fi
}

# The packages that a lock file of npm names; made once for each version of it.
modules() {
    local from="infra/rig/$1" into="$work/$1-node"
    if ! cmp -s "$from/package-lock.json" "$into/package-lock.json" || [[ ! -d "$into/node_modules" ]]; then
        echo "installing the modules of $1 (once)"
        rm -rf "$into"
        mkdir -p "$into"
        cp "$from/package.json" "$into"
        cp "$from/package-lock.json" "$into/package-lock.json"
        (cd "$into" && timeout "$install_s" npm ci --silent --no-audit --no-fund --ignore-scripts)
    fi
}

#!/usr/bin/env bash
# Unpacks Asterisk into a folder of its own, for tests on a Debian that does not package it. Nothing is installed and no
# maintainer script runs: apt fetches and verifies a newer suite's packages into a private state folder. The result runs
# through its own dynamic loader (ROOT/bin/asterisk), so it needs neither chroot nor root rights.
#
#   unpack_asterisk.sh [ROOT]      default ROOT: ${XDG_CACHE_HOME:-~/.cache}/bridge-tests/asterisk
#   SUITE=sid MIRROR=URI unpack_asterisk.sh
#
# A complete ROOT is left untouched.
set -euo pipefail

suite=${SUITE:-forky}
root=$(realpath -m -- "${1:-${XDG_CACHE_HOME:-$HOME/.cache}/bridge-tests/asterisk}")
[[ ! -f $root/.complete ]] || exit 0

die() { echo "unpack_asterisk: $*" >&2; exit 1; }
for tool in apt-get dpkg-deb tar flock; do
  command -v "$tool" >/dev/null || die "needs $tool (a Debian or one of its relatives)"
done
[[ $(dpkg --print-architecture) == amd64 ]] || die "written for amd64 only"

mkdir -p "$(dirname "$root")"
exec 9>"$root.lock"
flock 9                                    # one builder; the others wait for it
[[ ! -f $root/.complete ]] || exit 0

new=$(mktemp -d "$root.new.XXXXXX")
trap 'rm -rf -- "$new"' EXIT
log=$new/log

# The host's own Debian mirror, whatever it is; where its lists were never fetched, what its sources say.
codename=$(. /etc/os-release && echo "${VERSION_CODENAME:-}")
mirror=${MIRROR:-$(apt-get indextargets --format '$(RELEASE) $(CODENAME) $(REPO_URI)' 'Created-By: Packages' |
  awk -v c="$codename" '$1 == c || $2 == c { print $NF; exit }')}
if [[ -z $mirror ]]; then
  mirror=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources} 2>/dev/null |
    grep -v '^ *#' | grep -oE '[a-z+]+:[^ ]*/debian/?( |$)' | head -n1 | tr -d ' ' || true)
fi
[[ -n $mirror ]] || die "no Debian mirror in this machine's apt sources; set MIRROR"

# A private apt state with the host's apt.conf (proxy, certificates).
mkdir -p "$new"/apt/{lists/partial,cache/archives/partial,etc/preferences.d,etc/sources.list.d}
keys=$(ls /usr/share/keyrings/debian-archive-keyring.{gpg,pgp} 2>/dev/null | head -n1 || true)
echo "deb ${keys:+[signed-by=$keys] }$mirror $suite main" >"$new/apt/sources.list"

# Libraries of modules that the tests never load (directories, fax, SNMP, databases, sound cards). Declared as
# installed, so that apt fetches neither them nor what they would pull in: 81 MB of packages become 25.
for package in adduser asterisk-config-custom libcodec2-1.2 libcurl4t64 \
  libglib2.0-0t64 libgmime-3.0-0t64 libical3t64 libiksemel3 libjack-jackd2-0 libjwt2 libldap2 \
  liblua5.1-0 libneon27t64 libodbc2 libopencore-amrnb0 libopencore-amrwb0 libportaudio2 libpq5 \
  libradcli4 libresample1 libsnmp45 libspandsp2t64 libsybdb5 libunbound8 libvo-amrwbenc0 \
  libvorbis0a libvorbisenc2 libvorbisfile3 openssl-provider-legacy tzdata; do
  printf 'Package: %s\nStatus: install ok installed\nArchitecture: amd64\nMulti-Arch: foreign\nVersion: 9999\nMaintainer: -\nDescription: -\n\n' "$package"
done >"$new/apt/status"

private_apt() {
  apt-get -q -y -o Dir::State::Lists="$new/apt/lists" -o Dir::State::status="$new/apt/status" \
    -o Dir::State::extended_states="$new/apt/extended" -o Dir::Cache="$new/apt/cache" \
    -o Dir::Etc::sourcelist="$new/apt/sources.list" -o Dir::Etc::sourceparts="$new/apt/etc/sources.list.d" \
    -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts="$new/apt/etc/preferences.d" \
    -o Acquire::Languages=none -o APT::Install-Recommends=false -o APT::Sandbox::User=root \
    -o APT::Architectures::=amd64 -o Acquire::Retries=3 -o Debug::NoLocking=true "$@" >>"$log" 2>&1
}

echo "unpack_asterisk: fetching Asterisk from $suite (once, 35 MB)" >&2
private_apt update -o APT::Update::Error-Mode=any || { tail -n5 "$log" >&2; die "apt update of $suite failed"; }
if ! private_apt install --download-only asterisk; then
  : >"$new/apt/status"                     # the suite moved on: take every dependency
  private_apt install --download-only asterisk || { tail -n15 "$log" >&2; die "apt could not fetch asterisk"; }
fi

mkdir -p "$new/root"/usr/{bin,sbin,lib,lib64}
for folder in bin sbin lib lib64; do ln -s "usr/$folder" "$new/root/$folder"; done
for deb in "$new"/apt/cache/archives/*.deb; do
  dpkg-deb --fsys-tarfile "$deb" | tar -x -C "$new/root" --no-same-owner --keep-directory-symlink \
    --exclude='./usr/share/doc*' --exclude='./usr/share/man' --exclude='./usr/share/locale' \
    --exclude='./usr/share/lintian' --exclude='./usr/lib/*/gconv' --exclude='./etc/init.d' \
    --exclude='./usr/lib/systemd' --exclude='./usr/share/zoneinfo' || die "cannot unpack ${deb##*/}"
done
lib=usr/lib/x86_64-linux-gnu
[[ -x $new/root/$lib/ld-linux-x86-64.so.2 && -x $new/root/usr/sbin/asterisk ]] || die "the packages hold no asterisk"

cat >"$new/root/usr/bin/asterisk" <<'WRAP'
#!/bin/sh
# Runs the unpacked Asterisk with its own C library, wherever this folder lies.
root=$(readlink -f "$(dirname "$(readlink -f "$0")")/../..")
exec "$root/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2" --argv0 asterisk \
  --library-path "$root/usr/lib/x86_64-linux-gnu" "$root/usr/sbin/asterisk" "$@"
WRAP
chmod 755 "$new/root/usr/bin/asterisk"

version=$("$new/root/usr/bin/asterisk" -V 2>&1) || die "asterisk does not start: $version"
echo "$version" >"$new/root/.complete"
rm -rf -- "$root"
mv "$new/root" "$root"

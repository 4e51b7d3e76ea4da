#!/bin/sh
# Puts everything that runs, with the libraries that it links to, into one folder, which becomes the image: assemble.sh PROGRAM ROOT
# It runs on Debian, with `git`, `openssh-client` and `ca-certificates` installed. A test runs it, too, and what it makes.
set -eu
program=$1
root=$2

# `git` speaks HTTPS by `git-remote-https`; the rest of its helpers are scripts that need a shell.
core=$(git --exec-path)
mkdir -p "$root/tmp" "$root/app/config" "$root/etc/ssl" "$root/usr/bin" "$root$core"
chmod 1777 "$root/tmp"
cp -L "$program" "$root/usr/bin/sealift"
for file in "$(command -v git)" "$(command -v ssh)" "$core/git" "$core/git-remote-http" "$core/git-remote-https"; do
  mkdir -p "$root$(dirname "$file")"
  cp -L "$file" "$root$file"
done

# The loader stands in these lists by its path alone.
for file in "$root/usr/bin/"* "$root$core/"*; do
  ldd "$file" | awk '/=> \//{print $3} /^\t\/lib/{print $1}'
done | sort -u | while read -r library; do
  mkdir -p "$root$(dirname "$library")"
  cp -L "$library" "$root$library"
done
# What the C library opens to resolve names, without being linked to it.
for library in /lib/*/libnss_dns.so.2 /lib/*/libnss_files.so.2 /lib/*/libresolv.so.2; do
  if [ -e "$library" ]; then
    mkdir -p "$root$(dirname "$library")"
    cp -L "$library" "$root$library"
  fi
done

cp -rL /etc/ssl/certs "$root/etc/ssl/"
echo 'hosts: files dns' > "$root/etc/nsswitch.conf"
echo 'sealift:x:1000:1000::/tmp:/nonexistent' > "$root/etc/passwd"
echo 'sealift:x:1000:' > "$root/etc/group"
# The path at which Argo CD Image Updater has its program.
ln -s /usr/bin/sealift "$root/manager"

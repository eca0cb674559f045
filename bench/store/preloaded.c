/* Preloaded into a server that it is compared with: connections that it accepts send small answers at once (TCP_NODELAY), and
   with SYNC_RENAMES in its environment a file is durable before it gets its name. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

int accept4(int listener, struct sockaddr *address, socklen_t *length, int flags) {
    static int (*of_libc)(int, struct sockaddr *, socklen_t *, int);
    if (!of_libc) of_libc = dlsym(RTLD_NEXT, "accept4");
    int connection = of_libc(listener, address, length, flags), on = 1;
    if (connection >= 0) setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return connection;
}

static int synced(const char *path, int flags) {
    int file = open(path, O_RDONLY | O_CLOEXEC | flags), failed = file < 0;
    failed = failed || (flags ? fsync(file) : fdatasync(file));
    if (file >= 0) close(file);
    return failed ? -1 : 0;
}

int rename(const char *from, const char *to) {
    static int (*of_libc)(const char *, const char *);
    if (!of_libc) of_libc = dlsym(RTLD_NEXT, "rename");
    if (!getenv("SYNC_RENAMES")) return of_libc(from, to);
    char folder[PATH_MAX];
    strncpy(folder, to, sizeof folder - 1);
    folder[sizeof folder - 1] = 0;
    return synced(from, 0) || of_libc(from, to) || synced(dirname(folder), O_DIRECTORY) ? -1 : 0;
}

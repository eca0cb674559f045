/* Preloaded into a server: connections that it accepts send small answers at once (TCP_NODELAY). */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

int accept4(int listener, struct sockaddr *address, socklen_t *length, int flags) {
    static int (*of_libc)(int, struct sockaddr *, socklen_t *, int);
    if (!of_libc) of_libc = dlsym(RTLD_NEXT, "accept4");
    int connection = of_libc(listener, address, length, flags), on = 1;
    if (connection >= 0) setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    return connection;
}

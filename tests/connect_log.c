/* Writes each address that a process that preloads this tries to reach into the file CONNECT_LOG.
   Sockets of the machine itself (AF_UNIX, loopback) are let through in silence. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static void note(const char *what) {
  FILE *log = fopen(getenv("CONNECT_LOG"), "a");
  if (log) {
    fprintf(log, "%s\n", what);
    fclose(log);
  }
}

int connect(int fd, const struct sockaddr *address, socklen_t length) {
  static int (*real)(int, const struct sockaddr *, socklen_t);
  if (!real) real = dlsym(RTLD_NEXT, "connect");
  if (address->sa_family == AF_INET) {
    char text[INET_ADDRSTRLEN];
    inet_ntop(AF_INET, &((const struct sockaddr_in *)address)->sin_addr, text, sizeof text);
    if (strncmp(text, "127.", 4)) note(text);
  }
  return real(fd, address, length);
}

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **result) {
  static int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
  if (!real) real = dlsym(RTLD_NEXT, "getaddrinfo");
  if (node && strcmp(node, "localhost") && strncmp(node, "127.", 4)) note(node);
  return real(node, service, hints, result);
}

/*
 * One answer for each datagram, at once: nothing is left to finish in a drain.
 */
#include "worker_datagram.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	ANSWERS_PER_TURN_MAX = 8,
	DATAGRAM_BYTES_MAX = 2048,
};

bool
datagram_is_for(int fd)
{
	int type = 0;
	socklen_t length = sizeof(type);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &length) == 0 &&
	    type == SOCK_DGRAM;
}

void
datagram_answer(int fd, const char *version)
{
	char bytes[DATAGRAM_BYTES_MAX], answer[DATAGRAM_BYTES_MAX + 128];
	struct sockaddr_storage peer;
	socklen_t length;
	ssize_t got;
	int head;

	for (int i = 0; i < ANSWERS_PER_TURN_MAX; i++) {
		length = sizeof(peer);
		got = recvfrom(fd, bytes, sizeof(bytes), MSG_DONTWAIT,
		    (struct sockaddr *)&peer, &length);
		if (got < 0)
			return;
		head = snprintf(answer, sizeof(answer) - sizeof(bytes),
		    "%s %d ", version, (int)getpid());
		memcpy(answer + head, bytes, (size_t)got);
		/* Who does not listen has none. */
		(void)!sendto(fd, answer, (size_t)(head + got), MSG_DONTWAIT,
		    (struct sockaddr *)&peer, length);
	}
}

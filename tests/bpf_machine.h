/*
 * A machine that runs compiled programs as the kernel does, on packets that
 * the tests make up, and remembers which instructions it came by.
 */
#ifndef SUPD_BPF_MACHINE_H
#define SUPD_BPF_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpf.h"

enum { PACKET_BYTES_MAX = 128 };

/* From the IP header on; `random` is what the next load of it gives. */
struct packet {
	uint8_t bytes[PACKET_BYTES_MAX];
	size_t size;
	uint32_t random;
};

struct machine {
	const struct bpf_program *program;
	bool reached[BPF_CODE_MAX];
	uint32_t a, x;                  /* as the last run left them */
	bool outside;                   /* a load was not within the packet */
};

/*
 * What the kernel checks of a program before it takes it: jumps go forward and
 * stay within, the last instruction returns.
 */
bool machine_accepts(const struct bpf_program *);

void machine_init(struct machine *, const struct bpf_program *);

/* The member that gets the packet: 0 after a load outside of it.  Ends the test
 * program at an instruction that it does not know. */
uint32_t machine_run(struct machine *, const struct packet *);

/* An opening packet of a connection.  Addresses as inet_pton() takes them. */
struct packet packet_4(const char *source, const char *destination,
    uint16_t source_port);
struct packet packet_6(const char *source, const char *destination,
    uint16_t source_port);

/* The same as a datagram; before an extension is added. */
void packet_make_udp(struct packet *);

/* The same with so many words of IPv4 options. */
void packet_add_options(struct packet *, unsigned words);

/* The same with an extension header of eight bytes, which are all `filler`. */
void packet_add_extension(struct packet *, uint8_t filler);

/* Another client. */
void packet_set_source_4(struct packet *, uint32_t address);

#endif

/*
 * Instructions are taken apart as linux/filter.h puts them together; only those
 * that the compiler may use are known.
 */
#include "bpf_machine.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool
machine_accepts(const struct bpf_program *program)
{
	uint32_t left;

	if (program->count == 0 || program->count > BPF_CODE_MAX)
		return false;
	for (uint32_t i = 0; i < program->count; i++) {
		const struct sock_filter *in = &program->code[i];

		left = program->count - i - 1;
		if (BPF_CLASS(in->code) == BPF_JMP &&
		    (in->jt >= left || in->jf >= left))
			return false;
	}
	return BPF_CLASS(program->code[program->count - 1].code) == BPF_RET;
}

void
machine_init(struct machine *machine, const struct bpf_program *program)
{
	memset(machine, 0, sizeof(*machine));
	machine->program = program;
}

static void
unknown(const struct sock_filter *in)
{
	fprintf(stderr, "bpf_machine: unknown instruction %#x\n", in->code);
	abort();
}

/* Big-endian, as it came from the network. */
static bool
load(const struct packet *packet, uint32_t offset, unsigned width,
    uint32_t *ret_value)
{
	size_t size = width == BPF_W ? 4 : width == BPF_H ? 2 : 1;
	uint32_t start = offset - (uint32_t)SKF_NET_OFF, value = 0;

	if (offset == (uint32_t)(SKF_AD_OFF + SKF_AD_RANDOM)) {
		*ret_value = packet->random;
		return true;
	}
	if (start > packet->size || size > packet->size - start)
		return false;
	for (size_t i = 0; i < size; i++)
		value = value << 8 | packet->bytes[start + i];
	*ret_value = value;
	return true;
}

static void
compute(struct machine *m, const struct sock_filter *in)
{
	uint32_t operand = BPF_SRC(in->code) == BPF_X ? m->x : in->k;

	switch (BPF_OP(in->code)) {
	case BPF_MUL:
		m->a *= operand;
		break;
	case BPF_RSH:
		m->a >>= operand;
		break;
	case BPF_XOR:
		m->a ^= operand;
		break;
	default:
		unknown(in);
	}
}

static uint32_t
jump(const struct machine *m, const struct sock_filter *in)
{
	uint32_t operand = BPF_SRC(in->code) == BPF_X ? m->x : in->k;

	switch (BPF_OP(in->code)) {
	case BPF_JEQ:
		return m->a == operand ? in->jt : in->jf;
	case BPF_JGE:
		return m->a >= operand ? in->jt : in->jf;
	default:
		unknown(in);
		return 0;
	}
}

/* False if it read outside of the packet. */
static bool
fetch(struct machine *m, const struct packet *packet,
    const struct sock_filter *in)
{
	uint32_t value = 0;

	switch (in->code) {
	case BPF_LD | BPF_ABS | BPF_W:
	case BPF_LD | BPF_ABS | BPF_H:
	case BPF_LD | BPF_ABS | BPF_B:
		return load(packet, in->k, BPF_SIZE(in->code), &m->a);
	case BPF_LD | BPF_IND | BPF_H:
		return load(packet, in->k + m->x, BPF_H, &m->a);
	case BPF_LDX | BPF_IMM:
		m->x = in->k;
		return true;
	case BPF_LDX | BPF_B | BPF_MSH:
		if (!load(packet, in->k, BPF_B, &value))
			return false;
		m->x = 4 * (value & 0xf);
		return true;
	default:
		unknown(in);
		return false;
	}
}

uint32_t
machine_run(struct machine *m, const struct packet *packet)
{
	const struct sock_filter *in;

	m->a = m->x = 0;
	for (uint32_t at = 0;; at++) {
		assert(at < m->program->count);
		m->reached[at] = true;
		in = &m->program->code[at];
		switch (BPF_CLASS(in->code)) {
		case BPF_RET:
			return in->k;
		case BPF_JMP:
			at += jump(m, in);
			break;
		case BPF_ALU:
			compute(m, in);
			break;
		case BPF_MISC:
			if (in->code != (BPF_MISC | BPF_TAX))
				unknown(in);
			m->x = m->a;
			break;
		default:
			if (fetch(m, packet, in))
				break;
			m->outside = true;
			return 0;
		}
	}
}

static void
put_port(struct packet *packet, size_t offset, uint16_t port)
{
	packet->bytes[offset] = (uint8_t)(port >> 8);
	packet->bytes[offset + 1] = (uint8_t)port;
	packet->size = offset + 20;
}

struct packet
packet_4(const char *source, const char *destination, uint16_t source_port)
{
	struct packet packet = { .bytes = { 0x45, [9] = IPPROTO_TCP } };

	if (inet_pton(AF_INET, source, packet.bytes + 12) != 1 ||
	    inet_pton(AF_INET, destination, packet.bytes + 16) != 1)
		abort();
	put_port(&packet, 20, source_port);
	return packet;
}

struct packet
packet_6(const char *source, const char *destination, uint16_t source_port)
{
	struct packet packet = { .bytes = { 0x60, [6] = IPPROTO_TCP } };

	if (inet_pton(AF_INET6, source, packet.bytes + 8) != 1 ||
	    inet_pton(AF_INET6, destination, packet.bytes + 24) != 1)
		abort();
	put_port(&packet, 40, source_port);
	return packet;
}

void
packet_make_udp(struct packet *packet)
{
	packet->bytes[packet->bytes[0] >> 4 == 4 ? 9 : 6] = IPPROTO_UDP;
}

static void
insert(struct packet *packet, size_t offset, size_t size, uint8_t filler)
{
	assert(packet->size + size <= sizeof(packet->bytes));
	memmove(packet->bytes + offset + size, packet->bytes + offset,
	    packet->size - offset);
	memset(packet->bytes + offset, filler, size);
	packet->size += size;
}

void
packet_add_options(struct packet *packet, unsigned words)
{
	insert(packet, 20, 4 * words, 1);
	packet->bytes[0] = (uint8_t)(0x40 | (5 + words));
}

void
packet_add_extension(struct packet *packet, uint8_t filler)
{
	insert(packet, 40, 8, filler);
	packet->bytes[6] = 60;          /* destination options */
}

void
packet_set_source_4(struct packet *packet, uint32_t address)
{
	address = htonl(address);
	memcpy(packet->bytes + 12, &address, sizeof(address));
}

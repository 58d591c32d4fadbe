/*
 * The compiler: a plan becomes instructions with labels for targets, which are
 * replaced by distances at the end.  Nothing is emitted that no packet reaches:
 * a constant weight needs no random word, and no family is looked at unless
 * something of it matters.
 *
 * Offsets are from SKF_NET_OFF, the IP header: the packet itself begins behind
 * the TCP or UDP header when the kernel chooses a socket.  Both have the source
 * port first.
 */
#include "bpf.h"

#include <assert.h>
#include <stdbool.h>
#include <string.h>

/* Of the IP header. */
enum {
	IP4_SOURCE = 12,
	IP4_DESTINATION = 16,
	IP6_NEXT_HEADER = 6,
	IP6_SOURCE = 8,
	IP6_DESTINATION = 24,
	IP6_BYTES = 40,
	IP6_WORDS = 4,                  /* of an address */
	PROTOCOL_TCP = 6,
	PROTOCOL_UDP = 17,
};

enum label {
	NEXT,                           /* the instruction after */
	FAMILY_6,
	CHOOSE,                         /* by weight, not being a probe */
	CHOOSE_4,
	CHOOSE_6,
	WORDS_6,                        /* of the address, the port known */
	STABLE,
	CANDIDATE,
	PROBE,                          /* and one more for each */
	LABEL_COUNT = PROBE + PROBE_PORTS_MAX,
};

struct draft {
	struct bpf_program *program;
	int position[LABEL_COUNT];      /* -1: not there yet */
	bool wanted[LABEL_COUNT];
};

static void
place(struct draft *draft, enum label label)
{
	assert(draft->position[label] < 0);
	draft->position[label] = draft->program->count;
}

static void
emit(struct draft *draft, unsigned code, uint32_t operand)
{
	struct bpf_program *program = draft->program;

	assert(program->count < BPF_CODE_MAX);
	program->code[program->count++] = (struct sock_filter){
		.code = (uint16_t)code, .k = operand,
	};
}

static void
load(struct draft *draft, unsigned width, int offset)
{
	emit(draft, BPF_LD | BPF_ABS | width, (uint32_t)(SKF_NET_OFF + offset));
}

/* Compares A with the operand, or with X (BPF_X). */
static void
jump(struct draft *draft, unsigned test, uint32_t operand, enum label yes,
    enum label no)
{
	struct sock_filter *instruction =
	    &draft->program->code[draft->program->count];

	emit(draft, BPF_JMP | test, operand);
	instruction->jt = (uint8_t)yes;
	instruction->jf = (uint8_t)no;
	draft->wanted[yes] = draft->wanted[no] = true;
}

/* On to the next instruction with IPv4. */
static void
load_family(struct draft *draft)
{
	load(draft, BPF_B, 0);
	emit(draft, BPF_ALU | BPF_RSH | BPF_K, 4);
	jump(draft, BPF_JEQ | BPF_K, 6, FAMILY_6, NEXT);
}

static uint8_t
distance(const struct draft *draft, uint32_t from, uint8_t label)
{
	int distance;

	if (label == NEXT)
		return 0;
	distance = draft->position[label] - (int)from - 1;
	assert(distance >= 0 && distance <= UINT8_MAX);
	return (uint8_t)distance;
}

static void
resolve(struct draft *draft)
{
	struct sock_filter *instruction;
	uint32_t i;

	for (i = 0; i < draft->program->count; i++) {
		instruction = &draft->program->code[i];
		if (BPF_CLASS(instruction->code) != BPF_JMP)
			continue;
		instruction->jt = distance(draft, i, instruction->jt);
		instruction->jf = distance(draft, i, instruction->jf);
	}
}

static bool
is_constant(const struct bpf_plan *plan)
{
	return plan->weight_permille == 0 || plan->weight_permille == 1000;
}

/*
 * Each bit of A goes into all of them, and no two values become one: the last
 * steps of MurmurHash3 (by Austin Appleby, in the public domain).
 */
static void
mix(struct draft *draft)
{
	static const struct {
		uint32_t shift, factor;
	} rounds[] = { { 16, 0x85ebca6b }, { 13, 0xc2b2ae35 }, { 16, 1 } };

	for (size_t i = 0; i < sizeof(rounds) / sizeof(rounds[0]); i++) {
		emit(draft, BPF_MISC | BPF_TAX, 0);
		emit(draft, BPF_ALU | BPF_RSH | BPF_K, rounds[i].shift);
		emit(draft, BPF_ALU | BPF_XOR | BPF_X, 0);
		if (rounds[i].factor != 1)
			emit(draft, BPF_ALU | BPF_MUL | BPF_K,
			    rounds[i].factor);
	}
}

/* A becomes the source port. */
static void
load_port_4(struct draft *draft)
{
	/* X becomes the length of the header, which may have options. */
	emit(draft, BPF_LDX | BPF_B | BPF_MSH, (uint32_t)SKF_NET_OFF);
	emit(draft, BPF_LD | BPF_H | BPF_IND, (uint32_t)SKF_NET_OFF);
}

static void
hash_4(struct draft *draft, bool flow)
{
	if (flow) {
		load_port_4(draft);
		mix(draft);
		emit(draft, BPF_MISC | BPF_TAX, 0);
	}
	load(draft, BPF_W, IP4_SOURCE);
	if (flow)
		emit(draft, BPF_ALU | BPF_XOR | BPF_X, 0);
	mix(draft);
}

/* X becomes the port's hash, or 0 if it is not known where the port is. */
static void
hash_port_6(struct draft *draft)
{
	emit(draft, BPF_LDX | BPF_IMM, 0);
	load(draft, BPF_B, IP6_NEXT_HEADER);
	jump(draft, BPF_JEQ | BPF_K, PROTOCOL_UDP, NEXT, WORDS_6);
	load(draft, BPF_H, IP6_BYTES);
	mix(draft);
	emit(draft, BPF_MISC | BPF_TAX, 0);
	place(draft, WORDS_6);
}

/*
 * All of the address and not only the network's half of it: a whole cluster may
 * be in one network, and would be on one side or the other.
 */
static void
hash_6(struct draft *draft, bool flow)
{
	if (flow)
		hash_port_6(draft);
	load(draft, BPF_W, IP6_SOURCE);
	if (flow)
		emit(draft, BPF_ALU | BPF_XOR | BPF_X, 0);
	mix(draft);
	for (int word = 1; word < IP6_WORDS; word++) {
		emit(draft, BPF_MISC | BPF_TAX, 0);
		load(draft, BPF_W, IP6_SOURCE + 4 * word);
		emit(draft, BPF_ALU | BPF_XOR | BPF_X, 0);
		mix(draft);
	}
}

/* A has the source port; two of the same would be a mistake. */
static void
match_ports(struct draft *draft, const struct bpf_plan *plan, enum label no)
{
	for (uint32_t i = 0; i < plan->probe_count; i++) {
		for (uint32_t k = 0; k < i; k++)
			assert(plan->probes[k].port != plan->probes[i].port);
		jump(draft, BPF_JEQ | BPF_K, plan->probes[i].port,
		    (enum label)(PROBE + i),
		    i + 1 < plan->probe_count ? NEXT : no);
	}
}

static void
match_4(struct draft *draft, const struct bpf_plan *plan, enum label no)
{
	load(draft, BPF_W, IP4_SOURCE);
	emit(draft, BPF_MISC | BPF_TAX, 0);
	load(draft, BPF_W, IP4_DESTINATION);
	jump(draft, BPF_JEQ | BPF_X, 0, NEXT, no);
	load_port_4(draft);
	match_ports(draft, plan, no);
}

static void
match_6(struct draft *draft, const struct bpf_plan *plan, enum label no)
{
	load(draft, BPF_B, IP6_NEXT_HEADER);
	jump(draft, BPF_JEQ | BPF_K, plan->udp ? PROTOCOL_UDP : PROTOCOL_TCP,
	    NEXT, no);
	for (int word = 0; word < IP6_WORDS; word++) {
		load(draft, BPF_W, IP6_SOURCE + 4 * word);
		emit(draft, BPF_MISC | BPF_TAX, 0);
		load(draft, BPF_W, IP6_DESTINATION + 4 * word);
		jump(draft, BPF_JEQ | BPF_X, 0, NEXT, no);
	}
	load(draft, BPF_H, IP6_BYTES);
	match_ports(draft, plan, no);
}

/* A has a number that is spread evenly. */
static void
decide(struct draft *draft, const struct bpf_plan *plan)
{
	uint64_t limit = ((uint64_t)plan->weight_permille << 32) / 1000;

	jump(draft, BPF_JGE | BPF_K, (uint32_t)limit, STABLE, CANDIDATE);
}

static void
choose_by_address(struct draft *draft, const struct bpf_plan *plan)
{
	bool probes = plan->probe_count > 0;
	bool flow = plan->steer == STEER_RANDOM;

	load_family(draft);
	if (probes)
		match_4(draft, plan, CHOOSE_4);
	place(draft, CHOOSE_4);
	hash_4(draft, flow);
	decide(draft, plan);
	place(draft, FAMILY_6);
	if (probes)
		match_6(draft, plan, CHOOSE_6);
	place(draft, CHOOSE_6);
	hash_6(draft, flow);
	decide(draft, plan);
}

/* Only probes have to know the family. */
static void
choose_for_all(struct draft *draft, const struct bpf_plan *plan)
{
	if (plan->probe_count > 0) {
		load_family(draft);
		match_4(draft, plan, CHOOSE);
		place(draft, FAMILY_6);
		match_6(draft, plan, CHOOSE);
	}
	place(draft, CHOOSE);
	if (is_constant(plan)) {
		emit(draft, BPF_RET | BPF_K, plan->weight_permille == 0 ?
		    plan->stable : plan->candidate);
		return;
	}
	emit(draft, BPF_LD | BPF_W | BPF_ABS,
	    (uint32_t)(SKF_AD_OFF + SKF_AD_RANDOM));
	decide(draft, plan);
}

static void
answer(struct draft *draft, enum label label, uint32_t member)
{
	if (!draft->wanted[label])
		return;
	place(draft, label);
	emit(draft, BPF_RET | BPF_K, member);
}

void
bpf_compile(const struct bpf_plan *plan, struct bpf_program *ret_program)
{
	struct draft draft = { .program = ret_program };

	assert(plan->weight_permille <= 1000);
	assert(plan->probe_count <= PROBE_PORTS_MAX);
	memset(ret_program, 0, sizeof(*ret_program));
	for (int label = 0; label < LABEL_COUNT; label++)
		draft.position[label] = -1;
	if ((plan->steer == STEER_SOURCE_IP || plan->udp) && !is_constant(plan))
		choose_by_address(&draft, plan);
	else
		choose_for_all(&draft, plan);
	answer(&draft, STABLE, plan->stable);
	answer(&draft, CANDIDATE, plan->candidate);
	for (uint32_t i = 0; i < plan->probe_count; i++)
		answer(&draft, (enum label)(PROBE + i), plan->probes[i].member);
	resolve(&draft);
}

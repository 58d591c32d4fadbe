/*
 * The compiled programs for UDP, interpreted: a flow, which is an address and a
 * port, is never split, and flows are divided evenly whatever they have in
 * common.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "bpf_machine.h"

enum {
	OLD = 3, NEW = 7,               /* members */
	FLOWS = 60000,                  /* ports of one client */
};

static const uint32_t weights[] = { 1, 50, 333, 500, 999 };
enum { WEIGHT_COUNT = sizeof(weights) / sizeof(weights[0]) };

static struct bpf_program program;
static struct machine machine;

static void
compile(enum steer steer, uint32_t weight_permille)
{
	const struct bpf_plan plan = {
		.steer = steer, .udp = true, .stable = OLD, .candidate = NEW,
		.weight_permille = weight_permille,
	};

	bpf_compile(&plan, &program);
	assert_true(machine_accepts(&program));
	machine_init(&machine, &program);
}

static struct packet
datagram(bool is_6, uint16_t port)
{
	struct packet packet = is_6 ?
	    packet_6("2001:db8::1", "2001:db8::9", port) :
	    packet_4("192.0.2.1", "192.0.2.9", port);

	packet_make_udp(&packet);
	return packet;
}

static uint32_t
hash_of(const struct packet *packet)
{
	(void)machine_run(&machine, packet);
	assert_false(machine.outside);
	return machine.a;
}

/* Within five standard deviations of the binomial distribution. */
static void
assert_share(uint64_t got, uint64_t count, uint64_t weight_permille)
{
	uint64_t mean = count * weight_permille / 1000;
	uint64_t variance = mean * (1000 - weight_permille) / 1000;
	int64_t off = (int64_t)(got - mean);

	if ((uint64_t)(off * off) > 25 * variance + 25)
		fail_msg("%u of %u at %u permille", (unsigned)got,
		    (unsigned)count, (unsigned)weight_permille);
}

static void
nothing_and_everything_are_exact(void **state)
{
	(void)state;
	for (int is_6 = 0; is_6 < 2; is_6++) {
		struct packet packet = datagram(is_6, 1024);

		compile(STEER_RANDOM, 0);
		assert_int_equal(program.count, 1);
		assert_int_equal(machine_run(&machine, &packet), OLD);
		compile(STEER_RANDOM, 1000);
		assert_int_equal(program.count, 1);
		assert_int_equal(machine_run(&machine, &packet), NEW);
	}
}

static void
ports_are_spread_evenly(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2 * WEIGHT_COUNT; i++) {
		uint32_t got = 0, weight = weights[i / 2];

		compile(STEER_RANDOM, weight);
		for (uint32_t port = 1; port <= FLOWS; port++) {
			struct packet packet = datagram(i % 2,
			    (uint16_t)port);

			got += machine_run(&machine, &packet) == NEW;
			assert_false(machine.outside);
		}
		assert_share(got, FLOWS, weight);
	}
}

/* As many clients with one port: of a resolver, of a game. */
static void
addresses_are_spread_evenly(void **state)
{
	(void)state;
	for (size_t i = 0; i < WEIGHT_COUNT; i++) {
		struct packet packet = datagram(false, 5353);
		uint32_t got = 0;

		compile(STEER_RANDOM, weights[i]);
		for (uint32_t k = 0; k < FLOWS; k++) {
			packet_set_source_4(&packet, 0x0a000000 + k);
			got += machine_run(&machine, &packet) == NEW;
		}
		assert_share(got, FLOWS, weights[i]);
	}
}

/* A port that follows from the address, as behind some routers. */
static void
both_in_step_are_spread_evenly(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2 * WEIGHT_COUNT; i++) {
		uint32_t got = 0;

		compile(STEER_RANDOM, weights[i / 2]);
		for (uint32_t k = 1; k <= FLOWS; k++) {
			struct packet packet = datagram(i % 2, (uint16_t)k);

			if (i % 2 == 0) {
				packet_set_source_4(&packet, 0x0a000000 + k);
			} else {
				packet.bytes[10] = (uint8_t)(k >> 8);
				packet.bytes[11] = (uint8_t)k;
			}
			got += machine_run(&machine, &packet) == NEW;
		}
		assert_share(got, FLOWS, weights[i / 2]);
	}
}

/* Not by chance, not by what is behind the headers, not by the other end. */
static void
a_flow_is_never_split(void **state)
{
	struct packet packet, other;
	uint32_t hash;

	(void)state;
	compile(STEER_RANDOM, 500);
	packet = datagram(false, 4000);
	hash = hash_of(&packet);
	other = packet_4("192.0.2.1", "198.51.100.7", 4000);
	packet_make_udp(&other);
	packet_add_options(&other, 3);
	other.random = 77;
	assert_int_equal(hash_of(&other), hash);
	packet = datagram(true, 4000);
	hash = hash_of(&packet);
	other = packet_6("2001:db8::1", "::1", 4000);
	packet_make_udp(&other);
	other.random = 77;
	assert_int_equal(hash_of(&other), hash);
}

/* Behind an extension header the port is not looked for. */
static void
an_extension_leaves_the_address(void **state)
{
	struct packet packet = datagram(true, 4000), other;
	uint32_t hash;

	(void)state;
	compile(STEER_RANDOM, 500);
	packet_add_extension(&packet, 0);
	hash = hash_of(&packet);
	other = datagram(true, 5000);
	packet_add_extension(&other, 9);
	assert_int_equal(hash_of(&other), hash);
	other.bytes[23] ^= 1;
	assert_int_not_equal(hash_of(&other), hash);
	compile(STEER_SOURCE_IP, 500);
	assert_int_equal(hash_of(&packet), hash);
}

static void
by_address_the_port_does_not_count(void **state)
{
	(void)state;
	compile(STEER_SOURCE_IP, 500);
	for (int is_6 = 0; is_6 < 2; is_6++) {
		struct packet packet = datagram(is_6, 4000);
		struct packet other = datagram(is_6, 5000);

		assert_int_equal(hash_of(&packet), hash_of(&other));
	}
}

static void
no_flow_goes_back(void **state)
{
	static bool moved[FLOWS / 10];
	uint32_t count = 0;

	(void)state;
	for (uint32_t weight = 1; weight <= 1000; weight++) {
		compile(STEER_RANDOM, weight);
		for (uint32_t i = 0; i < FLOWS / 10; i++) {
			struct packet packet = datagram(i % 2,
			    (uint16_t)(1024 + i));
			bool is_new = machine_run(&machine, &packet) == NEW;

			assert_true(is_new || !moved[i]);
			count += is_new && !moved[i];
			moved[i] = is_new;
		}
	}
	assert_int_equal(count, FLOWS / 10);
}

static void
every_instruction_is_reached(void **state)
{
	struct packet packet;

	(void)state;
	compile(STEER_RANDOM, 500);
	for (uint32_t i = 0; i < 200; i++) {
		packet = datagram(i % 2, (uint16_t)(1024 + i));
		if (i % 4 == 3)
			packet_add_extension(&packet, 0);
		(void)machine_run(&machine, &packet);
	}
	for (uint32_t i = 0; i < program.count; i++)
		assert_true(machine.reached[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_and_everything_are_exact),
		cmocka_unit_test(ports_are_spread_evenly),
		cmocka_unit_test(addresses_are_spread_evenly),
		cmocka_unit_test(both_in_step_are_spread_evenly),
		cmocka_unit_test(a_flow_is_never_split),
		cmocka_unit_test(an_extension_leaves_the_address),
		cmocka_unit_test(by_address_the_port_does_not_count),
		cmocka_unit_test(no_flow_goes_back),
		cmocka_unit_test(every_instruction_is_reached),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

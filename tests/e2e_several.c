/*
 * Several services of one supd have their rollouts at the same time, each with
 * users of its own, half of whom keep their connections: all get through, and
 * no request fails.
 */
#include "e2e.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
	SERVICES = 5,
	WORKERS = 2,
	TURNS = 2,
	RATE = 500,                     /* of each service */
	KEEP_ALIVE_POOL = 16,
};

static struct place {
	char name[16], target[32];
	struct load load;
} places[SERVICES];

/* The next build, for all of them. */
static void
install(unsigned revision)
{
	char version[16];

	snprintf(version, sizeof(version), "v%u", revision);
	for (unsigned i = 0; i < SERVICES; i++)
		e2e_install_counted(places[i].name, version, "");
}

static void
begin(void)
{
	char services[8192] = "";
	size_t used = 0;

	for (unsigned i = 0; i < SERVICES; i++) {
		struct place *p = &places[i];

		snprintf(p->name, sizeof(p->name), "web%u", i);
		snprintf(p->target, sizeof(p->target), "127.0.0.1:%u",
		    e2e_port());
		used += (size_t)snprintf(services + used,
		    sizeof(services) - used, "[service %s]\ncommand = %s\n"
		    "listen = %s\nworkers = %d\nready = notify\n"
		    "strategy = canary\nsteps = 5%% 200ms, 50%% 200ms, 100%%\n",
		    p->name, e2e_path(p->name), p->target, WORKERS);
	}
	install(1);
	e2e_configure("%s", services);
	supd_start_ready(SERVICES * WORKERS);
	for (unsigned i = 0; i < SERVICES; i++)
		load_start(&places[i].load, places[i].target, RATE,
		    i % 2 == 0 ? 0 : KEEP_ALIVE_POOL);
	for (unsigned i = 0; i < SERVICES; i++)
		load_await_version(&places[i].load, "v1");
}

static void
test_at_once(void **state)
{
	unsigned turns = e2e_rounds(TURNS);
	uint64_t requests = 0;
	json_t *last;

	(void)state;
	begin();
	for (unsigned revision = 2; revision < 2 + turns; revision++) {
		install(revision);
		supctl("reload");
		assert_ended(0, "is in charge");
		for (unsigned i = 0; i < SERVICES; i++) {
			last = rollout_await_verdict(places[i].name, revision,
			    "complete");
			assert_int_equal(load_number(last,
			    "connections_lost"), 0);
			json_decref(last);
		}
	}
	for (unsigned i = 0; i < SERVICES; i++)
		requests += load_end_clean(&places[i].load);
	print_message("%u canaries, %" PRIu64 " requests\n", SERVICES * turns,
	    requests);
	supd_stop();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		E2E_NET_TEST(test_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

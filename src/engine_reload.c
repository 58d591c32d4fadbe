/*
 * From the configuration to releases: what `reload` means for each service.
 *
 * All or nothing.  First the configuration is read, and every build it names
 * is pinned and every address bound; only when all of that has worked is
 * anything taken over.  What is taken over in place (workers, time limits …)
 * needs no rollout; what a release is made of does.
 */
#include <stdio.h>
#include <string.h>

#include "engine_parts.h"

enum intent_type {
	INTENT_ADD,             /* a service that is not there yet */
	INTENT_ROLL_OUT,
	INTENT_JOIN,            /* the very same is being rolled out already */
	INTENT_ADJUST,          /* taken over in place */
	INTENT_REMOVE,
};

struct intent {
	enum intent_type type;
	struct service *service;        /* NULL: to be added */
	struct spec *spec;              /* borrowed from the configuration */
	struct release *release;        /* pinned; NULL: none needed */
	enum strategy strategy;         /* if it is rolled out */
};

struct intents {
	struct intent list[SERVICES_MAX];
	uint32_t count;
};

/* The release that the service runs or is about to run. */
static struct release *
target_release(struct service *s)
{
	if (s->next_release != NULL)
		return s->next_release;
	if (s->rollout.candidate != 0 && s->rollout.phase != ROLLOUT_ROLLBACK &&
	    s->rollout.fault == FAULT_NONE && s->rollout.recall == FAULT_NONE)
		return service_release(s, s->rollout.candidate);
	return service_stable(s);
}

static bool
is_named(const struct reload *request, const char *name)
{
	for (uint32_t i = 0; i < request->service_count; i++)
		if (strcmp(request->services[i], name) == 0)
			return true;
	return request->service_count == 0;
}

/* Decides between the kinds of intent for a service that is there. */
static enum intent_type
classify(struct service *s, const struct release *release,
    const struct reload *request)
{
	struct release *target = target_release(s);
	const char *key;

	/* the fingerprint does not tell one address from another */
	if (target == NULL || target->fingerprint != release->fingerprint ||
	    spec_release_differs(target->spec, release->spec, &key) ||
	    (request->flags & RELOAD_FORCE))
		return INTENT_ROLL_OUT;
	if (target != service_stable(s))
		return INTENT_JOIN;
	if ((request->flags & RELOAD_IF_CHANGED) ||
	    spec_fleet_differs(s->spec, release->spec, &key))
		return INTENT_ADJUST;
	return INTENT_ROLL_OUT;
}

static int
refuse_quarantined(struct service *s, const struct release *release,
    const struct reload *request, char *ret_text)
{
	if ((request->flags & RELOAD_FORCE) ||
	    !service_is_quarantined(s, release->fingerprint))
		return 0;
	(void)snprintf(ret_text, REASON_BYTES_MAX,
	    "%s: this very build, %.200s, was rolled back before; it is rolled "
	    "out again when it has changed on disk, or with --force; nothing "
	    "was changed", s->name, release->path);
	return -1;
}

/* Pins, and binds if there is to be a rollout. */
static int
prepare(struct engine *engine, const struct reload *request,
    struct intent *intent, char *ret_text)
{
	const struct world *world = engine->world;
	char why[REASON_BYTES_MAX];

	intent->release = world->pin(world->ctx, intent->spec, why);
	if (intent->release == NULL)
		goto failed;
	if (request->version != NULL)
		(void)snprintf(intent->release->version,
		    sizeof(intent->release->version), "%s", request->version);
	if (request->commit_time_s != 0)
		intent->release->commit_time_s = request->commit_time_s;
	intent->release->created_s = world->clock_s(world->ctx);
	intent->type = INTENT_ADD;
	if (intent->service != NULL)
		intent->type = classify(intent->service, intent->release,
		    request);
	if (intent->type == INTENT_JOIN || intent->type == INTENT_ADJUST)
		return 0;
	if (intent->service != NULL && refuse_quarantined(intent->service,
	    intent->release, request, ret_text) < 0)
		return -1;
	intent->strategy = request->has_strategy ? request->strategy :
	    intent->spec->strategy;
	if (!spec_strategy_possible(intent->spec, intent->strategy,
	    intent->spec->workers, why))
		goto failed;
	if ((request->flags & RELOAD_PLAN) ||
	    world->bind(world->ctx, intent->release, why) == 0)
		return 0;
failed:
	(void)snprintf(ret_text, REASON_BYTES_MAX,
	    "%s: %.400s; nothing was changed", intent->spec->name, why);
	return -1;
}

static int
check_names(const struct engine *engine, const struct config *config,
    const struct reload *request, char *ret_text)
{
	for (uint32_t i = 0; i < request->service_count; i++) {
		const char *name = request->services[i];

		if (config_service(config, name) != NULL)
			continue;
		(void)snprintf(ret_text, REASON_BYTES_MAX, "the configuration "
		    "has no [service %.40s]%s; nothing was changed", name,
		    engine_find(engine, name) != NULL ?
		    " any more; `supctl reload` without a name stops it" : "");
		return -1;
	}
	return 0;
}

static int
collect(struct engine *engine, const struct config *config,
    const struct reload *request, struct intents *intents, char *ret_text)
{
	struct intent *intent;
	size_t new_count = 0;

	for (size_t i = 0; i < config->service_count; i++) {
		struct spec *spec = config->services[i];

		if (!is_named(request, spec->name))
			continue;
		intent = &intents->list[intents->count++];
		intent->spec = spec;
		intent->service = engine_find(engine, spec->name);
		new_count += intent->service == NULL;
		if (prepare(engine, request, intent, ret_text) < 0)
			return -1;
	}
	if (engine->service_count + new_count > SERVICES_MAX) {
		(void)snprintf(ret_text, REASON_BYTES_MAX, "%zu services would "
		    "be more than %d (those that still stop count too); "
		    "nothing was changed", engine->service_count + new_count,
		    SERVICES_MAX);
		return -1;
	}
	return 0;
}

/* Services that the configuration does not have any more. */
static void
remove_absent(struct engine *engine, const struct config *config,
    struct reload_results *results)
{
	for (uint32_t i = 0; i < engine->service_count; i++) {
		struct service *s = engine->services[i];
		struct reload_result *result;

		if (s->removed || config_service(config, s->name) != NULL ||
		    results->count == SERVICES_MAX)
			continue;
		result = &results->list[results->count++];
		memcpy(result->service, s->name, sizeof(result->service));
		(void)snprintf(result->text, sizeof(result->text),
		    "is not in the configuration any more: stops");
		service_say(engine, s, NOTICE_SERVICE, NOTICE_PLAIN, NULL,
		    "is not in the configuration any more: stops");
		s->removed = true;
		engine_cancel(engine, s);
		service_update_policy(engine, s);
	}
}

/* The file is the truth: also for a number of workers that was scaled. */
static void
take_over_spec(struct engine *engine, struct service *s, struct spec *spec)
{
	spec_ref(spec);
	spec_unref(s->spec);
	s->spec = spec;
	s->workers = spec->workers;
	s->removed = false;
	service_update_policy(engine, s);
}

/* What this release is made of is equal, so it may have this spec. */
static void
adopt_spec(struct engine *engine, struct service *s, struct release *release,
    struct spec *spec)
{
	take_over_spec(engine, s, spec);
	spec_ref(spec);
	spec_unref(release->spec);
	release->spec = spec;
	engine->world->adjust(engine->world->ctx, release, spec);
}

static void
adjust(struct engine *engine, struct service *s, struct spec *spec,
    struct reload_result *result)
{
	const char *key = NULL;

	if (spec_fleet_differs(s->spec, spec, &key))
		(void)snprintf(result->text, sizeof(result->text),
		    "the build is the same; `%s` and what else changed is "
		    "taken over in place (--force rolls out all the same)",
		    key);
	else
		(void)snprintf(result->text, sizeof(result->text),
		    "nothing has changed");
	adopt_spec(engine, s, service_stable(s), spec);
	service_say(engine, s, NOTICE_SERVICE, NOTICE_PLAIN, NULL, "%s",
	    result->text);
}

static void
add(struct engine *engine, struct intent *intent, struct reload_result *result)
{
	struct service *s = engine_add(engine, intent->spec);

	if (s == NULL) {
		(void)snprintf(result->text, sizeof(result->text),
		    "no memory for another service; reload again");
		result->failed = true;
		return;
	}
	engine_first_release(engine, s, intent->release);
	result->revision = intent->release->revision;
	intent->release = NULL;
	(void)snprintf(result->text, sizeof(result->text),
	    "a new service: starts");
}

static void
roll_out(struct engine *engine, struct intent *intent,
    struct reload_result *result)
{
	struct service *s = intent->service;

	take_over_spec(engine, s, intent->spec);
	if (s->rollout.stable == 0) {
		engine_first_release(engine, s, intent->release);
		result->revision = intent->release->revision;
		intent->release = NULL;
		(void)snprintf(result->text, sizeof(result->text), "starts");
		return;
	}
	intent->release->revision = ++s->revision_last;
	if (engine_deploy(engine, s, intent->release, DEPLOYMENT_RELOAD,
	    intent->strategy, result, result->text) == 0)
		intent->release = NULL;
	else
		result->failed = true;
}

static void
commit(struct engine *engine, struct intent *intent,
    struct reload_result *result)
{
	struct service *s = intent->service;

	switch (intent->type) {
	case INTENT_ADD:
		add(engine, intent, result);
		break;
	case INTENT_ROLL_OUT:
		roll_out(engine, intent, result);
		break;
	case INTENT_JOIN:
		adopt_spec(engine, s, target_release(s), intent->spec);
		result->deployment = s->next_release != NULL ? s->next.id :
		    s->deployment.id;
		result->revision = target_release(s)->revision;
		result->rolls_out = true;
		(void)snprintf(result->text, sizeof(result->text),
		    "this very build is being rolled out already");
		break;
	case INTENT_ADJUST:
		adjust(engine, s, intent->spec, result);
		break;
	case INTENT_REMOVE:
		break;
	}
}

static void
plan(const struct intent *intent, struct reload_result *result)
{
	static const char *const texts[] = {
		[INTENT_ADD] = "would be started: a new service",
		[INTENT_ROLL_OUT] = "would be rolled out",
		[INTENT_JOIN] = "is being rolled out already",
		[INTENT_ADJUST] = "would be taken over in place, or has not "
		    "changed",
		[INTENT_REMOVE] = "would be stopped",
	};

	result->rolls_out = intent->type == INTENT_ROLL_OUT;
	if (result->rolls_out)
		result->course = engine_course(intent->service,
		    intent->release, DEPLOYMENT_RELOAD, intent->strategy);
	(void)snprintf(result->text, sizeof(result->text), "%s",
	    texts[intent->type]);
}

static void
settle(struct engine *engine, const struct reload *request,
    struct intents *intents, struct reload_results *results)
{
	for (uint32_t i = 0; i < intents->count; i++) {
		struct intent *intent = &intents->list[i];
		struct reload_result *result =
		    &results->list[results->count++];

		memcpy(result->service, intent->spec->name,
		    sizeof(result->service));
		result->policy = spec_policy(intent->spec,
		    intent->spec->workers);
		if (request->flags & RELOAD_PLAN)
			plan(intent, result);
		else
			commit(engine, intent, result);
	}
}

int
engine_reload(struct engine *engine, const struct reload *request,
    struct reload_results *ret_results, struct config_errors *ret_errors,
    char *ret_text)
{
	const struct world *world = engine->world;
	struct intents intents = { .count = 0 };
	struct config *config;
	int result = -1;

	memset(ret_results, 0, sizeof(*ret_results));
	memset(ret_errors, 0, sizeof(*ret_errors));
	if (engine->phase != ENGINE_RUNNING) {
		(void)snprintf(ret_text, REASON_BYTES_MAX,
		    "supd is shutting down; nothing was changed");
		return -1;
	}
	config = world->read_config(world->ctx, ret_errors);
	if (config == NULL) {
		(void)snprintf(ret_text, REASON_BYTES_MAX,
		    "the configuration has errors; nothing was changed");
		return -1;
	}
	if (check_names(engine, config, request, ret_text) == 0 &&
	    collect(engine, config, request, &intents, ret_text) == 0) {
		settle(engine, request, &intents, ret_results);
		if (request->service_count == 0 &&
		    !(request->flags & RELOAD_PLAN))
			remove_absent(engine, config, ret_results);
		result = 0;
	}
	for (uint32_t i = 0; i < intents.count; i++)
		if (intents.list[i].release != NULL)
			world->unpin(world->ctx, intents.list[i].release);
	config_free(config);
	return result;
}

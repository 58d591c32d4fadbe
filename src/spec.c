/*
 * Specs and configurations as plain data: lifetimes and look-ups.
 */
#include "spec.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "config_source.h"

static void
clear_listener(struct listener_spec *listener)
{
	free(listener->address_text);
	free(listener->owner);
}

struct spec *
spec_ref(struct spec *spec)
{
	assert(spec->reference_count > 0);
	spec->reference_count++;
	return spec;
}

void
spec_unref(struct spec *spec)
{
	if (spec == NULL)
		return;
	assert(spec->reference_count > 0);
	if (--spec->reference_count > 0)
		return;
	config_source_unref(spec->source);
	free(spec->file);
	free(spec->argv);
	free(spec->working_directory);
	free(spec->environment);
	free(spec->environment_file);
	free(spec->user);
	free(spec->group);
	free(spec->listeners);
	for (size_t i = 0; i < spec->socket_count; i++)
		clear_listener(&spec->sockets[i]);
	free(spec->sockets);
	free(spec->version_file);
	free(spec->version_command);
	free(spec->before_rollout);
	free(spec->after_rollout);
	free(spec->analysis);
	free(spec->probe_path);
	free(spec->probe_command);
	free(spec->probe_body);
	free(spec);
}

void
config_free(struct config *config)
{
	if (config == NULL)
		return;
	for (size_t i = 0; i < config->listener_count; i++)
		clear_listener(&config->listeners[i]);
	for (size_t i = 0; i < config->service_count; i++)
		spec_unref(config->services[i]);
	for (char **file = config->files; file != NULL && *file != NULL;
	    file++)
		free(*file);
	free(config->listeners);
	free(config->services);
	free(config->files);
	config_source_unref(config->source);
	free(config->runtime_dir);
	free(config->state_dir);
	free(config->control_group);
	free(config);
}

bool
address_accepts(const struct address *address)
{
	return address->kind == ADDRESS_STREAM ||
	    address->kind == ADDRESS_SEQPACKET;
}

bool
address_has_lanes(const struct address *address)
{
	return address->family != ADDRESS_UNIX;
}

bool
address_is_tcp(const struct address *address)
{
	return address_has_lanes(address) && address->kind == ADDRESS_STREAM;
}

bool
address_is_udp(const struct address *address)
{
	return address_has_lanes(address) && address->kind == ADDRESS_DATAGRAM;
}

bool
address_has_file(const struct address *address)
{
	return address->family == ADDRESS_UNIX && address->path[0] != '@';
}

const char *
address_kind_text(const struct address *address)
{
	if (address_has_lanes(address))
		return address_is_udp(address) ? "UDP" : "TCP";
	switch (address->kind) {
	case ADDRESS_DATAGRAM:
		return "a unix datagram socket";
	case ADDRESS_SEQPACKET:
		return "a unix seqpacket socket";
	case ADDRESS_FIFO:
		return "a FIFO";
	case ADDRESS_STREAM:
		break;
	}
	return "a unix socket";
}

struct spec *
config_service(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->service_count; i++) {
		if (strcmp(config->services[i]->name, name) == 0)
			return config->services[i];
	}
	return NULL;
}

const struct listener_spec *
config_listener(const struct config *config, const char *name)
{
	for (size_t i = 0; i < config->listener_count; i++) {
		if (strcmp(config->listeners[i].name, name) == 0)
			return &config->listeners[i];
	}
	return NULL;
}

bool
exit_set_has_code(const struct exit_set *set, int code)
{
	if (code < 0 || code > 255)
		return false;
	return (set->codes[code / 64] >> (code % 64) & 1) != 0;
}

bool
exit_set_has_signal(const struct exit_set *set, int signal)
{
	if (signal < 1 || signal > 63)
		return false;
	return (set->signals >> signal & 1) != 0;
}

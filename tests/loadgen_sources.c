/*
 * Which versions each source address got.
 */
#include "loadgen_sources.h"

#include <assert.h>

void
sources_note(struct sources *sources, unsigned source_index, uint64_t serial,
    unsigned version)
{
	struct source *source = &sources->list[source_index];

	assert(source_index < SOURCES_MAX && version < SOURCES_VERSIONS_MAX);
	source->seen |= UINT64_C(1) << version;
	if (source->answered && serial < source->serial) {
		sources->overtaken++;
		return;
	}
	if (source->answered && source->version != version)
		sources->changes[source->version][version]++;
	source->answered = true;
	source->serial = serial;
	source->version = version;
}

unsigned
sources_seen(const struct sources *sources, unsigned version)
{
	unsigned count = 0;

	for (unsigned i = 0; i < SOURCES_MAX; i++)
		count += (unsigned)(sources->list[i].seen >> version) & 1;
	return count;
}

unsigned
sources_answered(const struct sources *sources)
{
	unsigned count = 0;

	for (unsigned i = 0; i < SOURCES_MAX; i++)
		count += sources->list[i].answered;
	return count;
}

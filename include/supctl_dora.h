/*
 * The parts of `supctl dora`: the ledger, page by page, and the numbers from
 * it.  supctl(1) defines them.
 */
#ifndef SUPD_SUPCTL_DORA_H
#define SUPD_SUPCTL_DORA_H

#include "supctl.h"

/* ---- supctl_past.c */

struct past {
	json_t *deployments;    /* newest first, none twice; to be released */
	int64_t begins_s;       /* of the oldest there is; 0: there are older
				 * ones than were asked for, or none */
};

/* What has ended at since_s or later, of one service or (NULL) of all.  Says
 * what went wrong; returns an exit code. */
int past_read(const struct supctl *, struct call *, const char *service,
    int64_t since_s, struct past *ret_past);

/* ---- supctl_measure.c */

struct measure {
	uint32_t deployed;      /* came in charge */
	uint32_t reached;       /* got connections, in charge or before that */
	uint32_t failed;        /* of these: were taken back, then or later */
	uint32_t harmless;      /* were taken back without having got any */
	uint32_t lead_count;
	uint64_t lead_median_s, lead_p90_s;
	uint32_t recovery_count;
	uint64_t recovery_median_s;
};

/* Of this service's deployments (newest first) from since_s on. */
struct measure measure_deployments(const json_t *deployments,
    const char *service, int64_t since_s);

uint64_t measure_failure_permille(const struct measure *);

/* DORA's level of each; NULL where there is no number. */
const char *measure_frequency_level(const struct measure *, int64_t window_s);
const char *measure_lead_level(const struct measure *);
const char *measure_failure_level(const struct measure *);
const char *measure_recovery_level(const struct measure *);

#endif

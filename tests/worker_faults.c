/*
 * What is wrong with the answers of a worker.
 *
 * Requests for /healthz are a world of their own: they neither suffer from the
 * faults of the others nor count as requests.  So a probe may fail while users
 * are served, and users may suffer while all probes pass.
 */
#include "worker_faults.h"

enum {
	SHARES_WHOLE = 100000,  /* thousandths of a percent in all */
	STATUS_OK = 200,
	STATUS_ERROR = 503,
	HANG_MS = 3600000,
};

/*
 * Each fault owes its share of every request and is paid when the debt has
 * grown to a whole one.
 */
static enum answer_fault
choose_fault(struct faults *faults)
{
	enum answer_fault chosen = ANSWER_FAULT_COUNT;
	int i;

	for (i = 0; i < ANSWER_FAULT_COUNT; i++) {
		faults->debts[i] += faults->settings.shares[i];
		if (chosen == ANSWER_FAULT_COUNT &&
		    faults->debts[i] >= SHARES_WHOLE) {
			faults->debts[i] -= SHARES_WHOLE;
			chosen = (enum answer_fault)i;
		}
	}
	return chosen;
}

static struct answer_plan
plan_health(const struct faults *faults, uint64_t now_ms)
{
	const struct fault_settings *settings = &faults->settings;
	uint64_t age_ms = now_ms - faults->ready_ms;
	bool bad = age_ms < (uint64_t)settings->healthy_after_ms ||
	    (settings->unhealthy_after_ms >= 0 &&
	    age_ms >= (uint64_t)settings->unhealthy_after_ms);

	return (struct answer_plan){
		.fault = settings->health_floods ? ANSWER_FLOOD :
		    ANSWER_FAULT_COUNT,
		.status = bad ? (int)settings->unhealthy_status : STATUS_OK,
		.remark = bad ? " health=bad" : " health=good",
		.delay_ms = settings->health_hangs ? HANG_MS : 0,
	};
}

void
faults_begin(struct faults *faults, const struct fault_settings *settings,
    uint64_t now_ms)
{
	*faults = (struct faults){
		.settings = *settings,
		.ready_ms = now_ms,
	};
}

bool
faults_begun(const struct faults *faults, uint64_t now_ms)
{
	return now_ms - faults->ready_ms >=
	    (uint64_t)faults->settings.after_ms &&
	    faults->request_count >= faults->settings.after_requests;
}

struct answer_plan
faults_plan(struct faults *faults, bool health, uint64_t now_ms)
{
	const struct fault_settings *settings = &faults->settings;
	struct answer_plan plan = {
		.fault = ANSWER_FAULT_COUNT,
		.status = STATUS_OK,
		.remark = "",
	};
	bool begun = faults_begun(faults, now_ms);

	if (health)
		return plan_health(faults, now_ms);
	faults->request_count++;
	plan.crash = faults->request_count == settings->crash_on_request;
	if (!begun)
		return plan;
	plan.grow_bytes = settings->grow_bytes;
	plan.fault = choose_fault(faults);
	plan.delay_ms = settings->slow_ms;
	if (plan.fault == ANSWER_STALL)
		plan.delay_ms += settings->stall_ms;
	if (plan.fault == ANSWER_ERROR)
		plan.status = STATUS_ERROR;
	return plan;
}

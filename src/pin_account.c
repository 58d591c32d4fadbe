/*
 * Users and groups: who the workers of a release run as.
 *
 * NSS may allocate, block and ask the network, so it is asked here, once per
 * release, and the child between clone and exec only gets numbers.  Names and
 * numbers are both accepted; a number without an entry has no home, no login
 * group and no supplementary groups.
 */
#include "pin_parts.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	ENTRY_BYTES_MIN = 1024,
	ENTRY_BYTES_MAX = 1 << 20,
	GROUPS_START = 32,
	GROUPS_MAX = 65536,             /* the kernel's NGROUPS_MAX */
};

static bool
parse_id(const char *text, uint32_t *ret_id)
{
	char *end;
	unsigned long long number;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	number = strtoull(text, &end, 10);
	if (*end != '\0' || errno != 0 || number >= UINT32_MAX)
		return false;
	*ret_id = (uint32_t)number;
	return true;
}

/* Copies what an account needs of a passwd entry. */
static int
take_entry(const struct passwd *entry, struct account *account)
{
	account->credentials.uid = entry->pw_uid;
	account->credentials.gid = entry->pw_gid;
	account->name = strdup(entry->pw_name);
	account->home = strdup(entry->pw_dir);
	account->shell = strdup(entry->pw_shell);
	if (account->name == NULL || account->home == NULL ||
	    account->shell == NULL)
		return -ENOMEM;
	return 0;
}

/* -ENOENT if NSS has no such user. */
static int
ask_user(const char *user, bool numeric, uid_t uid, struct account *account)
{
	struct passwd entry, *found = NULL;
	size_t size_bytes = ENTRY_BYTES_MIN;
	char *buffer = NULL, *grown;
	int error = ERANGE;

	while (error == ERANGE && size_bytes <= ENTRY_BYTES_MAX) {
		grown = realloc(buffer, size_bytes);
		if (grown == NULL) {
			error = ENOMEM;
			break;
		}
		buffer = grown;
		error = numeric ?
		    getpwuid_r(uid, &entry, buffer, size_bytes, &found) :
		    getpwnam_r(user, &entry, buffer, size_bytes, &found);
		size_bytes *= 2;
	}
	if (error == 0)
		error = found == NULL ? ENOENT : -take_entry(found, account);
	free(buffer);
	return -error;
}

static int
ask_group(const char *group, gid_t *ret_gid)
{
	struct group entry, *found = NULL;
	size_t size_bytes = ENTRY_BYTES_MIN;
	char *buffer = NULL, *grown;
	int error = ERANGE;

	while (error == ERANGE && size_bytes <= ENTRY_BYTES_MAX) {
		grown = realloc(buffer, size_bytes);
		if (grown == NULL) {
			error = ENOMEM;
			break;
		}
		buffer = grown;
		error = getgrnam_r(group, &entry, buffer, size_bytes, &found);
		size_bytes *= 2;
	}
	if (error == 0 && found == NULL)
		error = ENOENT;
	if (error == 0)
		*ret_gid = found->gr_gid;
	free(buffer);
	return -error;
}

static int
find_user(const char *user, bool has_group, struct account *account,
    char *ret_text)
{
	uid_t uid = 0;
	bool numeric = parse_id(user, &uid);
	int error = ask_user(user, numeric, uid, account);

	if (error == -ENOENT && numeric && has_group) {
		account->credentials.uid = uid;
		return 0;
	}
	if (error == -ENOENT && numeric)
		snprintf(ret_text, REASON_BYTES_MAX, "user %s has no entry in "
		    "the user database, so `group` must be set too", user);
	else if (error == -ENOENT)
		snprintf(ret_text, REASON_BYTES_MAX,
		    "user %s does not exist", user);
	else if (error < 0)
		snprintf(ret_text, REASON_BYTES_MAX,
		    "cannot look up user %s: %s", user, strerror(-error));
	return error;
}

static int
find_group(const char *group, struct account *account, char *ret_text)
{
	int error;

	if (parse_id(group, &account->credentials.gid))
		return 0;
	error = ask_group(group, &account->credentials.gid);
	if (error == -ENOENT)
		snprintf(ret_text, REASON_BYTES_MAX,
		    "group %s does not exist", group);
	else if (error < 0)
		snprintf(ret_text, REASON_BYTES_MAX,
		    "cannot look up group %s: %s", group, strerror(-error));
	return error;
}

static int
find_supplementary(struct account *account, char *ret_text)
{
	struct credentials *credentials = &account->credentials;
	int count, room;
	gid_t *grown;

	if (account->name == NULL)
		return 0;
	for (room = GROUPS_START; room <= GROUPS_MAX; room *= 2) {
		grown = realloc(credentials->groups,
		    (size_t)room * sizeof(*grown));
		if (grown == NULL)
			break;
		credentials->groups = grown;
		count = room;
		if (getgrouplist(account->name, credentials->gid,
		    credentials->groups, &count) >= 0) {
			credentials->group_count = (size_t)count;
			return 0;
		}
	}
	snprintf(ret_text, REASON_BYTES_MAX,
	    "cannot list the groups of user %s", account->name);
	return -ENOMEM;
}

/* Only root can become somebody else; being oneself needs no change. */
static int
check_permitted(struct account *account, char *ret_text)
{
	struct credentials *credentials = &account->credentials;

	credentials->change = geteuid() == 0;
	if (credentials->change || (credentials->uid == geteuid() &&
	    credentials->gid == getegid()))
		return 0;
	snprintf(ret_text, REASON_BYTES_MAX, "workers cannot run as user %u, "
	    "group %u: supd runs as user %u, group %u, and only root can "
	    "change that", credentials->uid, credentials->gid, geteuid(),
	    getegid());
	return -EPERM;
}

int
pin_account_find(const struct spec *spec, struct account *ret_account,
    char *ret_text)
{
	struct account account = { .credentials = { .uid = geteuid(),
	    .gid = getegid() } };
	int error = 0;

	if (spec->user == NULL && spec->group == NULL) {
		*ret_account = account;
		return 0;
	}
	if (spec->user != NULL)
		error = find_user(spec->user, spec->group != NULL, &account,
		    ret_text);
	if (error == 0 && spec->group != NULL)
		error = find_group(spec->group, &account, ret_text);
	if (error == 0)
		error = check_permitted(&account, ret_text);
	if (error == 0)
		error = find_supplementary(&account, ret_text);
	if (error < 0) {
		pin_account_release(&account);
		return error;
	}
	*ret_account = account;
	return 0;
}

void
pin_account_release(struct account *account)
{
	free(account->credentials.groups);
	free(account->name);
	free(account->home);
	free(account->shell);
	*account = (struct account){ .name = NULL };
}

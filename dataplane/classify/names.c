/* SPDX-License-Identifier: BSD-2-Clause
 *
 * names.c - classes, scopes and phases by name.
 *
 * Called from every plane, any thread; tables only. The numbers are stored in
 * history and on the board, so a table is indexed by its enum.
 * Errors: NULL or -EINVAL for what is no member.
 */
#include <errno.h>
#include <string.h>
#include <strings.h>

#include "sluice/classify.h"

static const char *const class_names[CLASS_COUNT_] = {
	[CLASS_ACCEPTED] = "accepted",
	[CLASS_RATE_LIMITED] = "rate_limited",
	[CLASS_BLOCK_IP_TEMPORARY] = "block_ip_temporary",
	[CLASS_BLOCK_IP_LIST] = "block_ip_list",
	[CLASS_BLOCK_DOMAIN_POLICY] = "block_domain_policy",
	[CLASS_AUTH_REQUIRED] = "auth_required",
	[CLASS_GREYLISTED] = "greylisted",
	[CLASS_CONTENT_REJECTED] = "content_rejected",
	[CLASS_MAILBOX_FULL] = "mailbox_full",
	[CLASS_TEMPORARY_REMOTE_ERROR] = "temporary_remote_error",
	[CLASS_NO_SUCH_USER] = "no_such_user",
	[CLASS_HOST_UNKNOWN_OR_RELAY_DENIED] = "host_unknown_or_relay_denied",
	[CLASS_MAILBOX_DISABLED] = "mailbox_disabled",
	[CLASS_MESSAGE_TOO_BIG] = "message_too_big",
	[CLASS_PROTOCOL_TLS] = "protocol_tls",
	[CLASS_UNKNOWN] = "unknown",
};

static const char *const scope_names[SCOPE_PROVIDER + 1] = {
	[SCOPE_RECIPIENT] = "recipient",
	[SCOPE_MESSAGE] = "message",
	[SCOPE_SENDER_DOMAIN] = "sender_domain",
	[SCOPE_PATH] = "path",
	[SCOPE_SOURCE] = "source",
	[SCOPE_PROVIDER] = "provider",
};

static const char *const phase_names[PHASE_QUIT + 1] = {
	[PHASE_CONNECT] = "connect",   [PHASE_EHLO] = "ehlo",
	[PHASE_STARTTLS] = "starttls", [PHASE_AUTH] = "auth",
	[PHASE_MAIL] = "mail",         [PHASE_RCPT] = "rcpt",
	[PHASE_DATA] = "data",         [PHASE_EOM] = "eom",
	[PHASE_QUIT] = "quit",
};

static int name_find(const char *const *names, int count, const char *name)
{
	int i;

	for (i = 0; name != NULL && i < count; i++)
		if (names[i] != NULL && strcasecmp(names[i], name) == 0)
			return i;
	return -EINVAL;
}

const char *class_name(uint8_t reply_class)
{
	return reply_class < CLASS_COUNT_ ? class_names[reply_class] : NULL;
}

int class_parse(const char *name)
{
	return name_find(class_names, CLASS_COUNT_, name);
}

const char *scope_name(uint8_t scope)
{
	return scope <= SCOPE_PROVIDER ? scope_names[scope] : NULL;
}

int scope_parse(const char *name)
{
	return name_find(scope_names, SCOPE_PROVIDER + 1, name);
}

const char *phase_name(uint8_t phase)
{
	return phase <= PHASE_QUIT ? phase_names[phase] : NULL;
}

int phase_parse(const char *name)
{
	return name_find(phase_names, PHASE_QUIT + 1, name);
}

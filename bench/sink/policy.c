/* SPDX-License-Identifier: BSD-2-Clause
 *
 * policy.c - reads --policy.
 *
 * Called at start, on the sink's thread. Errors: -EINVAL with what is wrong.
 */
#include "sink/policy.h"

#include <ctype.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "sluice/clock.h"
#include "sluice/config.h"

enum policy_kind {
	KIND_PLAIN,
	KIND_FLAG,
	KIND_REPLY, /* "CODE text" */
	KIND_RATE,
	KIND_SECONDS, /* also "10s", "5m" */
	KIND_MILLIS,
	KIND_COUNT,
	KIND_BLOCK, /* "N[,SECONDS[,last]]" */
	KIND_ODDITY
};

#define AT(field) offsetof(struct policy, field)

static const struct policy_name {
	const char *name;
	enum policy_kind kind;
	size_t offset;
} names[] = {
	{"plain", KIND_PLAIN, 0},
	{"tempfail-rcpt", KIND_FLAG, AT(tempfail_rcpt)},
	{"close-after-mail", KIND_FLAG, AT(close_after_mail)},
	{"drop-in-data", KIND_FLAG, AT(drop_in_data)},
	{"silent-after-354", KIND_FLAG, AT(silent_after_354)},
	{"close-after-dot", KIND_FLAG, AT(close_after_dot)},
	{"byte-by-byte", KIND_FLAG, AT(byte_by_byte)},
	{"long-replies", KIND_FLAG, AT(long_replies)},
	{"accept-3-of-5", KIND_FLAG, AT(accept_3_of_5)},
	{"no-pipelining", KIND_FLAG, AT(no_pipelining)},
	{"no-8bitmime", KIND_FLAG, AT(no_8bitmime)},
	{"no-dsn", KIND_FLAG, AT(no_dsn)},
	{"chunking", KIND_FLAG, AT(chunking)},
	{"smtputf8", KIND_FLAG, AT(smtputf8)},
	{"no-ehlo", KIND_FLAG, AT(no_ehlo)},
	{"size", KIND_COUNT, AT(size_max)},
	{"reject-rcpt", KIND_REPLY, AT(reject_rcpt)},
	{"banner", KIND_REPLY, AT(banner)},
	{"rate", KIND_RATE, AT(rate)},
	{"greylist", KIND_SECONDS, AT(greylist_ns)},
	{"slow", KIND_MILLIS, AT(slow_ns)},
	{"421-every", KIND_COUNT, AT(every_421)},
	{"block-after", KIND_BLOCK, 0},
	{"at", KIND_ODDITY, 0},
};

const char *policy_names(void)
{
	return "plain tempfail-rcpt reject-rcpt=CODE_TEXT banner=CODE_TEXT "
	       "rate=N/s greylist=SECONDS slow=MS 421-every=N "
	       "block-after=N[,SECONDS[,last]] close-after-mail drop-in-data "
	       "silent-after-354 close-after-dot byte-by-byte long-replies "
	       "accept-3-of-5 no-pipelining no-8bitmime no-dsn chunking "
	       "smtputf8 no-ehlo size=BYTES at=PHASE[#N]/ACTION[/ARGUMENT]";
}

static int count_parse(const char *text, char end, uint64_t *out)
{
	unsigned long long v;
	char *stop;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	v = strtoull(text, &stop, 10);
	if (errno || (*stop && *stop != end) || v > UINT64_MAX / NS_PER_S)
		return -EINVAL;
	*out = v;
	return 0;
}

static int seconds_parse(const char *text, uint64_t *ns)
{
	uint64_t seconds;

	if (count_parse(text, 0, &seconds) != 0)
		return config_duration_parse(text, ns);
	*ns = seconds * NS_PER_S;
	return 0;
}

static bool is_reply(const char *text)
{
	return strlen(text) > 4 && strchr("45", text[0]) &&
	       isdigit((unsigned char)text[1]) &&
	       isdigit((unsigned char)text[2]) && text[3] == ' ' &&
	       !strpbrk(text, "\r\n");
}

static int block_parse(const char *text, struct policy *p)
{
	const char *comma = strchr(text, ',');
	uint64_t seconds;

	if (count_parse(text, ',', &p->block_after) != 0 || !p->block_after)
		return -EINVAL;
	if (!comma)
		return 0;
	if (count_parse(comma + 1, ',', &seconds) != 0)
		return -EINVAL;
	p->block_for_ns = seconds * NS_PER_S;
	comma = strchr(comma + 1, ',');
	if (!comma)
		return 0;
	p->block_from_last = true;
	return strcmp(comma, ",last") == 0 ? 0 : -EINVAL;
}

static int oddity_add(const char *text, struct policy *p, struct err *e)
{
	int err;

	if (p->oddity_count == ODDITY_MAX)
		return err_set(e, -E2BIG, "policy at: at most %u of them",
			       ODDITY_MAX);
	err = oddity_parse(text, &p->oddities[p->oddity_count], e);
	if (!err)
		p->oddity_count++;
	return err;
}

static int value_parse(const struct policy_name *n, const char *args,
		       struct policy *p)
{
	void *field = (char *)p + n->offset;

	if (!*args != (n->kind == KIND_PLAIN || n->kind == KIND_FLAG))
		return -EINVAL;
	switch (n->kind) {
	case KIND_PLAIN:
		return 0;
	case KIND_FLAG:
		*(bool *)field = true;
		return 0;
	case KIND_REPLY:
		*(const char **)field = args;
		return is_reply(args) ? 0 : -EINVAL;
	case KIND_RATE:
		return pace_parse(args, field);
	case KIND_SECONDS:
		return seconds_parse(args, field);
	case KIND_MILLIS:
		if (count_parse(args, 0, field) != 0)
			return -EINVAL;
		*(uint64_t *)field *= NS_PER_MS;
		return 0;
	case KIND_COUNT:
		return count_parse(args, 0, field);
	case KIND_BLOCK:
		return block_parse(args, p);
	case KIND_ODDITY:
		break; /* has its own errors */
	}
	return -EINVAL;
}

int policy_parse(const char *text, struct policy *p, struct err *e)
{
	size_t len = strcspn(text, ":=");
	const char *args = text[len] ? text + len + 1 : "";
	struct policy changed = *p;

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (strlen(names[i].name) != len ||
		    memcmp(names[i].name, text, len) != 0)
			continue;
		if (names[i].kind == KIND_ODDITY)
			return oddity_add(args, p, e);
		if (value_parse(&names[i], args, &changed) != 0)
			return err_set(e, -EINVAL, "policy %s: '%s' is wrong",
				       names[i].name, args);
		*p = changed;
		return 0;
	}
	return err_set(e, -EINVAL, "no policy '%.*s'; there are: %s", (int)len,
		       text, policy_names());
}

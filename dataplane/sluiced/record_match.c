/* SPDX-License-Identifier: BSD-2-Clause
 *
 * record_match.c - selections against envelope and header of a record.
 *
 * Called by the walker, and by requests to check their patterns. PURE; used on
 * one thread, allocates only in create. Errors: -EINVAL, -ENOMEM.
 */
#include "sluiced/record_match.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "sluice/addr.h"
#include "sluice/domain.h"
#include "sluiced/header_text.h"

#define MATCH_STEPS      20000u
#define MATCH_DEPTH      1000u
#define MATCH_HEAP_KIB   1024u
#define FIELD_BYTES_MAX  16384u /* of a field's body that are looked at */
#define PATTERN_COUNT    (2 * SELECTION_LIST_MAX)
#define PATTERN_SUBJECTS 0
#define PATTERN_HEADERS  SELECTION_LIST_MAX

struct record_match {
	const struct selection *s;
	pcre2_code *code[PATTERN_COUNT]; /* subjects, then headers */
	pcre2_match_data *match;
	pcre2_match_context *limits;
	struct addr_prefix prefixes[SELECTION_LIST_MAX];
	uint64_t gave_up;
	char field[FIELD_BYTES_MAX];
	char decoded[2 * FIELD_BYTES_MAX];
};

static int pattern_compile(const char *key, const char *text, pcre2_code **out,
			   struct err *e)
{
	PCRE2_UCHAR why[160];
	PCRE2_SIZE offset;
	int code;

	*out = pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED,
			     PCRE2_CASELESS | PCRE2_UTF |
				     PCRE2_MATCH_INVALID_UTF |
				     PCRE2_NEVER_BACKSLASH_C,
			     &code, &offset, NULL);
	if (*out != NULL)
		return 0;
	if (pcre2_get_error_message(code, why, sizeof(why)) < 0)
		why[0] = '\0';
	return err_set(e, -EINVAL,
		       "selection: %s '%.200s' is no pattern: at its character "
		       "%zu: %s",
		       key, text, (size_t)offset + 1, (const char *)why);
}

static int patterns_compile(struct record_match *m, struct err *e)
{
	const struct selection *s = m->s;
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < s->subjects.count; i++)
		rc = pattern_compile("subject", s->subjects.items[i],
				     &m->code[PATTERN_SUBJECTS + i], e);
	for (uint32_t i = 0; rc == 0 && i < s->headers.count; i++)
		rc = pattern_compile(
			"header", selection_header_pattern(s->headers.items[i]),
			&m->code[PATTERN_HEADERS + i], e);
	return rc;
}

static int limits_create(struct record_match *m, struct err *e)
{
	m->match = pcre2_match_data_create(1, NULL);
	m->limits = pcre2_match_context_create(NULL);
	if (m->match == NULL || m->limits == NULL)
		return err_set(e, -ENOMEM, "out of memory");
	pcre2_set_match_limit(m->limits, MATCH_STEPS);
	pcre2_set_depth_limit(m->limits, MATCH_DEPTH);
	pcre2_set_heap_limit(m->limits, MATCH_HEAP_KIB);
	return 0;
}

int record_match_create(const struct selection *s, struct record_match **out,
			struct err *e)
{
	struct record_match *m = calloc(1, sizeof(*m));
	int rc;

	if (m == NULL)
		return err_set(e, -ENOMEM, "out of memory");
	m->s = s;
	rc = patterns_compile(m, e);
	if (rc == 0)
		rc = limits_create(m, e);
	for (uint32_t i = 0; rc == 0 && i < s->client_ips.count; i++)
		rc = addr_prefix_parse(s->client_ips.items[i], &m->prefixes[i]);
	if (rc != 0) {
		record_match_destroy(&m);
		return rc;
	}
	*out = m;
	return 0;
}

void record_match_destroy(struct record_match **mp)
{
	struct record_match *m = *mp;

	*mp = NULL;
	if (m == NULL)
		return;
	for (uint32_t i = 0; i < PATTERN_COUNT; i++)
		pcre2_code_free(m->code[i]);
	pcre2_match_data_free(m->match);
	pcre2_match_context_free(m->limits);
	free(m);
}

bool record_match_wants_header(const struct record_match *m)
{
	return m->s->subjects.count > 0 || m->s->headers.count > 0;
}

uint64_t record_match_gave_up(const struct record_match *m)
{
	return m->gave_up;
}

static bool text_is(struct text t, const char *s)
{
	return t.len == strlen(s) && memcmp(t.data, s, t.len) == 0;
}

/* The local part as it is, the domain without case. */
static bool address_is(struct text t, const char *s)
{
	const char *at = mail_address_domain(s);
	size_t local = at != NULL ? (size_t)(at - s) : strlen(s);

	if (t.len != strlen(s) || memcmp(t.data, s, local) != 0)
		return false;
	return at == NULL ||
	       strncasecmp(t.data + local, at, t.len - local) == 0;
}

static bool address_in(const struct selection_list *l, struct text t)
{
	for (uint32_t i = 0; i < l->count; i++)
		if (address_is(t, l->items[i]))
			return true;
	return l->count == 0;
}

static bool text_in(const struct selection_list *l, struct text t)
{
	for (uint32_t i = 0; i < l->count; i++)
		if (text_is(t, l->items[i]))
			return true;
	return l->count == 0;
}

static bool client_in(const struct record_match *m, struct text t)
{
	char copy[ADDR_TEXT_BYTES];
	struct addr a;

	if (m->s->client_ips.count == 0)
		return true;
	if (t.len == 0 || t.len >= sizeof(copy))
		return false;
	memcpy(copy, t.data, t.len);
	copy[t.len] = '\0';
	if (addr_parse(copy, 0, &a) != 0)
		return false;
	for (uint32_t i = 0; i < m->s->client_ips.count; i++)
		if (addr_prefix_has(&m->prefixes[i], &a))
			return true;
	return false;
}

static bool pattern_hits(struct record_match *m, const pcre2_code *code,
			 const char *text, size_t len)
{
	int rc = pcre2_match(code, (PCRE2_SPTR)text, len, 0, 0, m->match,
			     m->limits);

	if (rc < 0 && rc != PCRE2_ERROR_NOMATCH)
		m->gave_up++;
	return rc >= 0;
}

/* Any field of that name. */
static bool field_hits(struct record_match *m, const pcre2_code *code,
		       const char *name, size_t name_len, const char *header,
		       size_t header_len)
{
	size_t at = 0, len, plain;

	while (header_next(header, header_len, &at, name, name_len, m->field,
			   sizeof(m->field), &len)) {
		plain = header_decode(m->field, len, m->decoded,
				      sizeof(m->decoded));
		if (pattern_hits(m, code, m->decoded, plain))
			return true;
		if ((plain != len || memcmp(m->field, m->decoded, len) != 0) &&
		    pattern_hits(m, code, m->field, len))
			return true;
	}
	return false;
}

static bool subject_in(struct record_match *m, const char *header, size_t len)
{
	const uint32_t count = m->s->subjects.count;

	for (uint32_t i = 0; i < count; i++)
		if (field_hits(m, m->code[PATTERN_SUBJECTS + i], "Subject", 7,
			       header, len))
			return true;
	return count == 0;
}

static bool headers_in(struct record_match *m, const char *header, size_t len)
{
	const struct selection_list *l = &m->s->headers;

	for (uint32_t i = 0; i < l->count; i++)
		if (field_hits(m, m->code[PATTERN_HEADERS + i], l->items[i],
			       strcspn(l->items[i], ":"), header, len))
			return true;
	return l->count == 0;
}

bool record_match_message(struct record_match *m, const struct envelope *env,
			  const char *header, size_t header_len)
{
	return address_in(&m->s->senders, env->sender) &&
	       text_in(&m->s->accounts, env->account) &&
	       client_in(m, env->client) && subject_in(m, header, header_len) &&
	       headers_in(m, header, header_len);
}

bool record_match_recipient(const struct record_match *m, struct text address)
{
	return address_in(&m->s->recipients, address);
}

/* SPDX-License-Identifier: BSD-2-Clause
 *
 * selection.c - selections from JSON and back, and as one line of text.
 *
 * Called by the command socket and the command line. Any thread; constant
 * after parse. Bound: SELECTION_LIST_MAX items a list, IDS_MAX ids.
 * Errors: -EINVAL with a sentence that names the key; -ENOMEM.
 */
#include "sluice/selection.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "selection_priv.h"
#include "sluice/addr.h"
#include "sluice/clock.h"
#include "sluice/config.h"
#include "sluice/domain.h"
#include "sluice/outcome.h"

#define IDS_MAX 4096
#define AT(m)   offsetof(struct selection, m)

/* Copies of a term as it is to be stored; NULL with errno set. */
static char *keep_text(const char *text)
{
	return strdup(text);
}

static char *keep_domain(const char *text)
{
	char buf[2 + DOMAIN_BYTES];
	size_t wild = strncmp(text, "*.", 2) == 0 ? 2 : 0;
	memcpy(buf, "*.", 2);
	errno = EINVAL;
	if (domain_normalise(text + wild, strlen(text + wild), buf + wild) != 0)
		return NULL;
	return strdup(buf);
}

static char *keep_recipient(const char *text)
{
	char buf[MAIL_ADDRESS_BYTES];
	const char *domain = mail_address_domain(text);
	size_t local = domain != NULL ? (size_t)(domain - text) : 0;
	errno = EINVAL;
	if (local < 2 || local + DOMAIN_BYTES > sizeof(buf))
		return NULL;
	memcpy(buf, text, local);
	if (domain_normalise(domain, strlen(domain), buf + local) != 0)
		return NULL;
	return strdup(buf);
}

static char *keep_prefix(const char *text)
{
	struct addr_prefix p;
	errno = EINVAL;
	return addr_prefix_parse(text, &p) == 0 ? strdup(text) : NULL;
}

static char *keep_pattern(const char *text)
{
	errno = EINVAL;
	return text[0] != '\0' ? strdup(text) : NULL;
}

/* Characters of a header's name: RFC 5322 3.6.8. */
static char *keep_header(const char *text)
{
	size_t name = strcspn(text, ":");
	errno = EINVAL;
	if (name == 0 || text[name] == '\0' ||
	    *selection_header_pattern(text) == '\0')
		return NULL;
	for (size_t i = 0; i < name; i++)
		if (text[i] < '!' || text[i] > '~')
			return NULL;
	return strdup(text);
}

const char *selection_header_pattern(const char *term)
{
	term += strcspn(term, ":");
	if (*term == ':')
		term++;
	return term + strspn(term, " \t");
}

const struct selection_term selection_terms[] = {
	{"provider", AT(providers), keep_text, "a provider's name"},
	{"domain", AT(domains), keep_domain, "a domain"},
	{"sender", AT(senders), keep_text, "an address"},
	{"sender_domain", AT(sender_domains), keep_domain, "a domain"},
	{"recipient", AT(recipients), keep_recipient, "an address"},
	{"source", AT(sources), keep_text, "a source's name"},
	{"account", AT(accounts), keep_text, "an account"},
	{"client_ip", AT(client_ips), keep_prefix,
	 "an IP address or a prefix, like 192.0.2.0/24"},
	{"subject", AT(subjects), keep_pattern, "a pattern"},
	{"header", AT(headers), keep_header, "'NAME: PATTERN'"},
	{NULL, 0, NULL, NULL},
};

struct selection_list *selection_term_list(const struct selection *s,
					   const struct selection_term *t)
{
	return (struct selection_list *)((char *)(uintptr_t)s + t->offset);
}

/* The i-th text of "x" or ["x", "y"]; NULL = no text. */
static const char *value_text(const json_t *v, size_t i)
{
	return json_string_value(json_is_array(v) ? json_array_get(v, i) : v);
}

static size_t value_count(const json_t *v)
{
	return json_is_array(v) ? json_array_size(v) : 1;
}

static int read_term(struct selection *s, const struct selection_term *t,
		     const json_t *v, struct err *e)
{
	struct selection_list *l = selection_term_list(s, t);
	size_t count = value_count(v);
	if (count == 0 || count > SELECTION_LIST_MAX)
		return err_set(e, -EINVAL,
			       "selection: '%s' needs 1 to %d values", t->name,
			       SELECTION_LIST_MAX);
	l->items = calloc(count, sizeof(*l->items));
	if (l->items == NULL)
		return err_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < count; i++) {
		const char *text = value_text(v, i);
		if (text == NULL)
			return err_set(
				e, -EINVAL,
				"selection: '%s' has to be a list of texts",
				t->name);
		char *kept = t->keep(text);
		if (kept == NULL && errno == ENOMEM)
			return err_set(e, -ENOMEM, "out of memory");
		if (kept == NULL)
			return err_set(e, -EINVAL,
				       "selection: %s '%.200s' is not %s",
				       t->name, text, t->wants);
		l->items[l->count++] = kept;
	}
	return 0;
}

static int read_ids(struct selection *s, const json_t *v, struct err *e)
{
	size_t count = value_count(v);
	if (count == 0 || count > IDS_MAX)
		return err_set(e, -EINVAL,
			       "selection: 'id' needs 1 to %d values", IDS_MAX);
	s->ids = calloc(count, sizeof(*s->ids));
	if (s->ids == NULL)
		return err_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < count; i++) {
		const char *text = value_text(v, i);
		if (text == NULL || message_id_parse(text, &s->ids[i]) != 0)
			return err_set(
				e, -EINVAL,
				"selection: id '%.40s' is not a message id; "
				"write up to 16 hex digits",
				text != NULL ? text : "");
		s->id_count++;
	}
	return 0;
}

static int read_states(struct selection *s, const json_t *v, struct err *e)
{
	if (value_count(v) == 0)
		return err_set(e, -EINVAL, "selection: 'state' is empty");
	for (size_t i = 0; i < value_count(v); i++) {
		const char *text = value_text(v, i);
		uint8_t state = text != NULL ? rcpt_state_parse(text) : 0;
		if (state == 0)
			return err_set(e, -EINVAL,
				       "selection: state '%.40s' is not known; "
				       "write one of waiting, deferred, held, "
				       "needs-decision, in-flight, failed, "
				       "expired",
				       text != NULL ? text : "");
		s->states |= 1u << (state & 31);
	}
	return 0;
}

static int read_age(const char *key, const json_t *v, uint32_t *seconds,
		    struct err *e)
{
	const char *text = json_string_value(v);
	uint64_t ns;
	if (text == NULL || config_duration_parse(text, &ns) != 0 ||
	    ns < NS_PER_S || ns / NS_PER_S > UINT32_MAX)
		return err_set(
			e, -EINVAL,
			"selection: '%s' has to be a time of a second or "
			"more, like \"2h\"",
			key);
	*seconds = (uint32_t)(ns / NS_PER_S);
	return 0;
}

static int read_size(const char *key, const json_t *v, uint64_t *out,
		     struct err *e)
{
	const char *text = json_string_value(v);
	uint64_t bytes;
	if (text == NULL || config_size_parse(text, &bytes) != 0 || bytes == 0)
		return err_set(e, -EINVAL,
			       "selection: '%s' has to be a size "
			       "above 0, like \"1MiB\"",
			       key);
	*out = bytes;
	return 0;
}

static int read_key(struct selection *s, const char *key, const json_t *v,
		    struct err *e)
{
	for (const struct selection_term *t = selection_terms; t->name; t++) {
		if (strcmp(t->name, key) == 0)
			return read_term(s, t, v, e);
	}
	if (strcmp(key, "id") == 0)
		return read_ids(s, v, e);
	if (strcmp(key, "state") == 0)
		return read_states(s, v, e);
	if (strcmp(key, "older") == 0)
		return read_age(key, v, &s->older_s, e);
	if (strcmp(key, "newer") == 0)
		return read_age(key, v, &s->newer_s, e);
	if (strcmp(key, "larger") == 0)
		return read_size(key, v, &s->larger_bytes, e);
	if (strcmp(key, "smaller") == 0)
		return read_size(key, v, &s->smaller_bytes, e);
	if (strcmp(key, "fingerprint") == 0 || strcmp(key, "score") == 0)
		return err_set(e, -EINVAL,
			       "selection: this version knows no '%s' yet; "
			       "select by subject, header, account or sender",
			       key);
	if (strcmp(key, "all") != 0)
		return err_set(e, -EINVAL, "selection: unknown key '%.60s'",
			       key);
	if (!json_is_boolean(v))
		return err_set(e, -EINVAL,
			       "selection: 'all' has to be true or false");
	s->all = json_is_true(v);
	return 0;
}

int selection_from_json(const struct json_t *j, struct selection **out,
			struct err *e)
{
	if (!json_is_object(j))
		return err_set(e, -EINVAL, "selection: has to be an object");
	struct selection *s = calloc(1, sizeof(*s));
	if (s == NULL)
		return err_set(e, -ENOMEM, "out of memory");
	/* jansson's iterator wants it writable and leaves it alone */
	json_t *object = (json_t *)(uintptr_t)j;
	const char *key;
	json_t *value;
	int res = 0;
	json_object_foreach(object, key, value)
	{
		res = read_key(s, key, value, e);
		if (res != 0)
			break;
	}
	if (res != 0) {
		selection_destroy(&s);
		return res;
	}
	*out = s;
	return 0;
}

bool selection_is_empty(const struct selection *s)
{
	for (const struct selection_term *t = selection_terms; t->name; t++) {
		if (selection_term_list(s, t)->count > 0)
			return false;
	}
	return !s->all && s->id_count == 0 && s->states == 0 &&
	       s->older_s == 0 && s->newer_s == 0 && s->larger_bytes == 0 &&
	       s->smaller_bytes == 0;
}

bool selection_needs_record(const struct selection *s)
{
	return s->accounts.count > 0 || s->client_ips.count > 0 ||
	       s->subjects.count > 0 || s->headers.count > 0;
}

void selection_destroy(struct selection **sp)
{
	struct selection *s = *sp;
	*sp = NULL;
	if (s == NULL)
		return;
	for (const struct selection_term *t = selection_terms; t->name; t++) {
		struct selection_list *l = selection_term_list(s, t);
		for (uint32_t i = 0; i < l->count; i++)
			free(l->items[i]);
		free(l->items);
	}
	free(s->ids);
	free(s);
}

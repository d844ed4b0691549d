/* SPDX-License-Identifier: BSD-2-Clause
 *
 * export_message.c - a message as sluiced tells of it, and its content.
 *
 * Called by the export session. One thread. Bound: one message; content in
 * pieces of READ_BYTES. The JSON is kept: text points into it.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "export.h"

#define READ_BYTES (256u << 10)

static int nibble(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* {"hex": "..."}: bytes that are no UTF-8. */
static bool hex_take(struct export_message *m, const json_t *hex,
		     struct text *out)
{
	const char *s = json_string_value(hex);
	size_t len = json_string_length(hex);
	char **texts, *to;

	if (s == NULL || len % 2 != 0)
		return false;
	texts = realloc(m->texts, (m->text_count + 1) * sizeof(*texts));
	if (texts == NULL)
		return false;
	m->texts = texts;
	to = malloc(len / 2 + 1);
	if (to == NULL)
		return false;
	m->texts[m->text_count++] = to;
	for (size_t i = 0; i < len / 2; i++) {
		int high = nibble(s[2 * i]), low = nibble(s[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		to[i] = (char)(high << 4 | low);
	}
	*out = (struct text){to, (uint32_t)(len / 2)};
	return true;
}

static bool text_take(struct export_message *m, const json_t *j,
		      struct text *out)
{
	if (j == NULL)
		return true;
	if (json_is_object(j))
		return hex_take(m, json_object_get(j, "hex"), out);
	if (!json_is_string(j))
		return false;
	*out = (struct text){json_string_value(j),
			     (uint32_t)json_string_length(j)};
	return true;
}

static bool envelope_take(struct export_message *m, const json_t *j)
{
	const char *body = json_str(j, "body"), *ret = json_str(j, "ret");

	if (!json_is_object(j) ||
	    !text_take(m, json_object_get(j, "sender"), &m->env.sender) ||
	    !text_take(m, json_object_get(j, "envid"), &m->env.envid) ||
	    !text_take(m, json_object_get(j, "origin"), &m->env.origin) ||
	    !text_take(m, json_object_get(j, "client"), &m->env.client) ||
	    !text_take(m, json_object_get(j, "account"), &m->env.account))
		return false;
	m->env.arrival_s = (uint32_t)json_int(j, "arrival");
	m->env.smtputf8 = json_is_true(json_object_get(j, "smtputf8"));
	m->env.body = strcmp(body, "7bit") == 0       ? BODY_7BIT
		      : strcmp(body, "8bitmime") == 0 ? BODY_8BITMIME
						      : BODY_UNKNOWN;
	m->env.ret = strcmp(ret, "full") == 0   ? RET_FULL
		     : strcmp(ret, "hdrs") == 0 ? RET_HDRS
						: RET_UNKNOWN;
	return true;
}

/* [number, address] or [number, address, orcpt, notify] */
static bool rcpt_take(struct export_message *m, const json_t *j)
{
	struct envelope_rcpt *r;

	if (m->rcpt_count == m->rcpt_room ||
	    !json_is_integer(json_array_get(j, 0)))
		return false;
	r = &m->rcpts[m->rcpt_count];
	*r = (struct envelope_rcpt){
		.notify = (uint8_t)json_integer_value(json_array_get(j, 3))};
	m->numbers[m->rcpt_count] =
		(uint32_t)json_integer_value(json_array_get(j, 0));
	if (!text_take(m, json_array_get(j, 1), &r->address) ||
	    !text_take(m, json_array_get(j, 2), &r->orcpt))
		return false;
	m->rcpt_count++;
	m->env.rcpt_count = m->rcpt_count;
	return true;
}

static bool rcpts_take(struct export_message *m, const json_t *list)
{
	size_t i;
	json_t *j;

	json_array_foreach(list, i, j) if (!rcpt_take(m, j)) return false;
	return true;
}

/* The list is kept as long as the message is. */
bool export_message_rcpts(struct export_message *m, json_t *list)
{
	json_t *kept = json_object_get(m->json, "more");

	if (kept == NULL) {
		kept = json_array();
		json_object_set_new(m->json, "more", kept);
	}
	json_array_append(kept, list);
	return rcpts_take(m, list);
}

static bool message_take(struct export_message *m, json_t *j, const int *fds,
			 uint32_t fd_count)
{
	json_int_t segment = json_int(j, "segment");
	json_int_t rcpts = json_int(j, "recipient_count");
	const char *id = json_str(j, "id");

	if (segment < 0 || segment >= (json_int_t)fd_count || rcpts <= 0 ||
	    rcpts > ENVELOPE_RCPTS_MAX || json_int(j, "offset") < 0 ||
	    json_int(j, "bytes") < 0 || strlen(id) != EXPORT_ID_BYTES - 1 ||
	    strspn(id, "0123456789abcdef") != EXPORT_ID_BYTES - 1)
		return false;
	m->fd = fds[segment];
	m->rcpt_room = (uint32_t)rcpts;
	m->rcpts = calloc(m->rcpt_room, sizeof(*m->rcpts));
	m->numbers = calloc(m->rcpt_room, sizeof(*m->numbers));
	m->tag = (uint32_t)json_int(j, "tag");
	m->offset = (uint64_t)json_int(j, "offset");
	m->bytes = (uint64_t)json_int(j, "bytes");
	m->xxh3 = strtoull(json_str(j, "xxh3"), NULL, 16);
	memcpy(m->id, id, EXPORT_ID_BYTES);
	if (m->rcpts == NULL || m->numbers == NULL)
		return false;
	m->env.rcpts = m->rcpts;
	return envelope_take(m, json_object_get(j, "envelope")) &&
	       rcpts_take(m, json_object_get(j, "recipients"));
}

struct export_message *export_message_parse(json_t *j, const int *fds,
					    uint32_t fd_count)
{
	struct export_message *m = calloc(1, sizeof(*m));

	if (m == NULL)
		return NULL;
	m->json = json_incref(j);
	if (!message_take(m, j, fds, fd_count))
		export_message_free(&m);
	return m;
}

bool export_message_complete(const struct export_message *m)
{
	return m->rcpt_count == m->rcpt_room;
}

void export_message_free(struct export_message **mp)
{
	struct export_message *m = *mp;

	*mp = NULL;
	if (m == NULL)
		return;
	for (uint32_t i = 0; i < m->text_count; i++)
		free(m->texts[i]);
	free(m->texts);
	free(m->rcpts);
	free(m->numbers);
	free(m->unsent);
	json_decref(m->json);
	free(m);
}

static int
content_pieces(const struct export_message *m, XXH3_state_t *state, char *buf,
	       int (*piece)(void *user, const void *data, size_t len),
	       void *user)
{
	uint64_t at = 0;
	int rc = 0;

	while (at < m->bytes && rc == 0) {
		size_t want =
			m->bytes - at < READ_BYTES ? m->bytes - at : READ_BYTES;
		ssize_t n = pread(m->fd, buf, want, (off_t)(m->offset + at));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EBADMSG;
		XXH3_64bits_update(state, buf, (size_t)n);
		rc = piece(user, buf, (size_t)n);
		at += (uint64_t)n;
	}
	if (rc == 0 && XXH3_64bits_digest(state) != m->xxh3)
		rc = -EBADMSG;
	return rc;
}

int export_message_content(const struct export_message *m,
			   int (*piece)(void *user, const void *data,
					size_t len),
			   void *user)
{
	XXH3_state_t *state = XXH3_createState();
	char *buf = malloc(READ_BYTES);
	int rc = -ENOMEM;

	if (state != NULL && buf != NULL) {
		XXH3_64bits_reset(state);
		rc = content_pieces(m, state, buf, piece, user);
	}
	free(buf);
	XXH3_freeState(state);
	return rc;
}

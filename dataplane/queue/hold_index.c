/* SPDX-License-Identifier: BSD-2-Clause
 *
 * hold_index.c - which holds may speak of a message, found by hash.
 *
 * Called when a hold comes or goes, and for every recipient that begins to
 * wait. Role: queue. Bound: a recipient: three searches, the holds that name
 * its message, and those that name neither id nor sender; a hold: one pass over
 * the index. Errors: -ENOMEM.
 *
 * After an incident the reflex may hold thousands of sender domains, one hold
 * each: what does not name the message's own is never looked at.
 */
#include <errno.h>
#include <string.h>

#include "queue_priv.h"

enum key_kind { KEY_ID = 1, KEY_SENDER, KEY_SENDER_DOMAIN };

static uint64_t key_of(enum key_kind kind, uint64_t value)
{
	uint64_t h = (value + kind) * 0x9e3779b97f4a7c15ULL;

	return (h ^ (h >> 29)) * 0xbf58476d1ce4e5b9ULL + kind;
}

static uint64_t text_key(enum key_kind kind, const char *text)
{
	return key_of(kind, spool_hash(text, strlen(text)));
}

/* "*.x.test" stands for many: no key. */
static bool all_exact(const struct selection_list *l)
{
	for (uint32_t i = 0; i < l->count; i++) {
		if (l->items[i][0] == '*')
			return false;
	}
	return l->count > 0;
}

static enum key_kind kind_of(const struct selection *s, uint32_t *count)
{
	if (s->id_count > 0) {
		*count = s->id_count;
		return KEY_ID;
	}
	if (s->senders.count > 0) {
		*count = s->senders.count;
		return KEY_SENDER;
	}
	if (all_exact(&s->sender_domains)) {
		*count = s->sender_domains.count;
		return KEY_SENDER_DOMAIN;
	}
	*count = 0;
	return 0;
}

static uint64_t key_at(const struct selection *s, enum key_kind kind,
		       uint32_t i)
{
	if (kind == KEY_ID)
		return key_of(KEY_ID, s->ids[i]);
	if (kind == KEY_SENDER)
		return text_key(KEY_SENDER, s->senders.items[i]);
	return text_key(KEY_SENDER_DOMAIN, s->sender_domains.items[i]);
}

/* First entry whose key is not below. */
static uint32_t index_find(const struct queue *q, uint64_t key)
{
	uint32_t low = 0, high = q->hold_key_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (q->hold_keys[middle].key < key)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int queue_hold_index_add(struct queue *q, const struct selection *s)
{
	uint32_t count;
	enum key_kind kind = kind_of(s, &count);

	if (count == 0) {
		if (!queue_array_room(q, &q->hold_others, &q->hold_other_room,
				      q->hold_other_count + 1,
				      sizeof(*q->hold_others)))
			return -ENOMEM;
		q->hold_others[q->hold_other_count++] = s;
		return 0;
	}
	if (!queue_array_room(q, &q->hold_keys, &q->hold_key_room,
			      q->hold_key_count + count, sizeof(*q->hold_keys)))
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++) {
		uint64_t key = key_at(s, kind, i);
		uint32_t at = index_find(q, key);
		memmove(&q->hold_keys[at + 1], &q->hold_keys[at],
			(q->hold_key_count - at) * sizeof(*q->hold_keys));
		q->hold_keys[at] = (struct hold_key){key, s};
		q->hold_key_count++;
	}
	return 0;
}

void queue_hold_index_remove(struct queue *q, const struct selection *s)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < q->hold_key_count; i++) {
		if (q->hold_keys[i].selection != s)
			q->hold_keys[kept++] = q->hold_keys[i];
	}
	q->hold_key_count = kept;
	kept = 0;
	for (uint32_t i = 0; i < q->hold_other_count; i++) {
		if (q->hold_others[i] != s)
			q->hold_others[kept++] = q->hold_others[i];
	}
	q->hold_other_count = kept;
}

static bool key_matches(const struct queue *q, uint64_t key, uint32_t n)
{
	for (uint32_t i = index_find(q, key);
	     i < q->hold_key_count && q->hold_keys[i].key == key; i++) {
		if (queue_match(q, q->hold_keys[i].selection, n, q->now_s) !=
		    MATCH_NO)
			return true;
	}
	return false;
}

bool queue_hold_index_match(const struct queue *q, uint32_t n)
{
	const struct message *m = queue_message(q, queue_node(q, n)->message);

	for (uint32_t i = 0; i < q->hold_other_count; i++) {
		if (queue_match(q, q->hold_others[i], n, q->now_s) != MATCH_NO)
			return true;
	}
	if (q->hold_key_count == 0)
		return false;
	return key_matches(q, key_of(KEY_ID, m->id), n) ||
	       key_matches(q, key_of(KEY_SENDER, m->sender_hash), n) ||
	       key_matches(
		       q,
		       text_key(KEY_SENDER_DOMAIN,
				intern_text(q->sender_names, m->sender_domain)),
		       n);
}

static uint64_t hash_text(uint64_t h, const char *text)
{
	do {
		h = (h ^ (unsigned char)*text) * 0x100000001b3ULL; /* FNV-1a */
	} while (*text++ != '\0');
	return h;
}

static uint64_t hash_number(uint64_t h, uint64_t v)
{
	return (h ^ v) * 0x9e3779b97f4a7c15ULL + (h >> 31);
}

static uint64_t hash_list(uint64_t h, const struct selection_list *l)
{
	h = hash_number(h, l->count);
	for (uint32_t i = 0; i < l->count; i++)
		h = hash_text(h, l->items[i]);
	return h;
}

/* Equal selections have equal hashes. */
uint64_t queue_hold_hash(const struct selection *s)
{
	uint64_t h = hash_number(0xcbf29ce484222325ULL, s->all);

	h = hash_list(h, &s->providers);
	h = hash_list(h, &s->domains);
	h = hash_list(h, &s->senders);
	h = hash_list(h, &s->sender_domains);
	h = hash_list(h, &s->recipients);
	h = hash_list(h, &s->sources);
	for (uint32_t i = 0; i < s->id_count; i++)
		h = hash_number(h, s->ids[i]);
	h = hash_number(h, s->states);
	h = hash_number(h, s->older_s);
	h = hash_number(h, s->newer_s);
	return hash_number(h, s->larger_bytes);
}

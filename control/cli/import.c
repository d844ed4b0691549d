/* SPDX-License-Identifier: BSD-2-Clause
 *
 * import.c - the session: batches, window, answers, progress, summary.
 *
 * Bound: `window` files unanswered, told by sluiced; BATCH_FILES descriptors
 * open here.
 */
#include "import.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "sluice/assert.h"
#include "sluice/clock.h"

#define PACKET_FILES 64    /* descriptors that one packet may carry */
#define PACKET_BYTES 65000 /* of the entries of one packet */
#define BATCH_FILES  2048  /* share the syncs that make their claims durable */
#define WINDOW_MAX   8192

struct import_session {
	struct cli *cli;
	struct connection *connection;
	struct import_ops ops;
	void *user;
	void **items; /* by tag; a free tag is in free_tags */
	uint32_t *free_tags;
	uint32_t free_count, window;
	json_t *batch; /* what is sent of each of the fds */
	int fds[BATCH_FILES];
	uint32_t bytes[BATCH_FILES]; /* of each entry, with its comma */
	uint32_t batch_count;
	uint64_t expected, taken, known, refused;
	uint64_t started_ns, shown_ns;
	json_t *refusals;
};

static json_t *session_start(struct cli *cli, struct connection *c,
			     const char *kind, int *rc)
{
	json_t *ready, *j = json_pack("{s:s,s:s,s:b}", "verb", "import", "kind",
				      kind, "normalise", cli->normalise);

	if (cli->reason != NULL)
		json_object_set_new(j, "reason", json_string(cli->reason));
	*rc = connection_send(c, j, NULL, 0);
	if (*rc != 0)
		return NULL;
	ready = connection_receive(c, true, NULL);
	if (ready == NULL || json_int(ready, "window") <= 0) {
		fprintf(stderr, "sluice: import: %s\n",
			ready && *json_str(ready, "error")
				? json_str(ready, "error")
				: "sluiced does not answer");
		json_decref(ready);
		*rc = EX_UNAVAILABLE;
		return NULL;
	}
	return ready;
}

static int session_tables(struct import_session *s, uint32_t window)
{
	s->window = window < WINDOW_MAX ? window : WINDOW_MAX;
	s->items = calloc(s->window, sizeof(*s->items));
	s->free_tags = calloc(s->window, sizeof(*s->free_tags));
	s->batch = json_array();
	s->refusals = json_array();
	if (s->items == NULL || s->free_tags == NULL || s->batch == NULL)
		return EX_OSERR;
	for (uint32_t i = 0; i < s->window; i++)
		s->free_tags[s->free_count++] = s->window - 1 - i;
	return 0;
}

static void session_free(struct import_session *s)
{
	connection_close(&s->connection);
	json_decref(s->batch);
	json_decref(s->refusals);
	free(s->items);
	free(s->free_tags);
	free(s);
}

int import_open(struct cli *cli, const char *kind, const struct import_ops *ops,
		void *user, uint64_t expected, struct import_session **out)
{
	struct import_session *s = calloc(1, sizeof(*s));
	json_t *ready;
	int rc;

	if (s == NULL)
		return EX_OSERR;
	s->cli = cli;
	s->ops = *ops;
	s->user = user;
	s->expected = expected;
	s->started_ns = clock_monotonic_ns();
	rc = connection_open(cli, &s->connection);
	if (rc != 0) {
		free(s);
		return rc;
	}
	ready = session_start(cli, s->connection, kind, &rc);
	if (ready != NULL) {
		rc = session_tables(s, (uint32_t)json_int(ready, "window"));
		json_decref(ready);
	}
	if (rc != 0) {
		session_free(s);
		return rc;
	}
	*out = s;
	return 0;
}

static void progress(struct import_session *s, bool last)
{
	uint64_t now_ns = clock_monotonic_ns();
	uint64_t over = s->taken + s->known + s->refused;
	double seconds = (double)(now_ns - s->started_ns) / 1e9;
	char a[32], b[32];

	if (!s->cli->terminal || s->cli->json ||
	    (!last && now_ns - s->shown_ns < 200 * NS_PER_MS))
		return;
	s->shown_ns = now_ns;
	text_count(over, a);
	text_count(s->expected, b);
	fprintf(stderr, "\rimport: %s of %s (%.0f %%), %.0f/s, %llu refused   ",
		a, b,
		s->expected ? 100.0 * (double)over / (double)s->expected
			    : 100.0,
		seconds > 0 ? (double)over / seconds : 0.0,
		(unsigned long long)s->refused);
	if (last)
		fputc('\n', stderr);
}

void import_refuse(struct import_session *s, const char *name,
		   const char *error)
{
	s->refused++;
	if (s->cli->terminal && !s->cli->json)
		fputs("\r\033[K", stderr);
	fprintf(stderr, "sluice: refused %s: %s\n", name, error);
	json_array_append_new(s->refusals, json_pack("{s:s,s:s}", "name", name,
						     "error", error));
}

static void settle(struct import_session *s, json_int_t tag,
		   enum import_verdict v, const char *error)
{
	void *item;

	if (tag < 0 || tag >= (json_int_t)s->window || !s->items[tag])
		return; /* not ours: sluiced is confused, nothing is removed */
	item = s->items[tag];
	s->items[tag] = NULL;
	s->free_tags[s->free_count++] = (uint32_t)tag;
	if (v == IMPORT_TAKEN)
		s->taken++;
	else if (v == IMPORT_KNOWN)
		s->known++;
	s->ops.settled(s->user, item, v, error);
}

static void answer_apply(struct import_session *s, json_t *p)
{
	size_t i;
	json_t *j;

	json_array_foreach(json_object_get(p, "taken"), i, j)
		settle(s, json_int(j, "tag"), IMPORT_TAKEN, NULL);
	json_array_foreach(json_object_get(p, "known"), i, j)
		settle(s, json_int(j, "tag"), IMPORT_KNOWN, NULL);
	json_array_foreach(json_object_get(p, "refused"), i, j) settle(
		s, json_int(j, "tag"), IMPORT_REFUSED, json_str(j, "error"));
	progress(s, false);
}

/* Takes answers; with `wait` at least one packet. */
static int answers(struct import_session *s, bool wait)
{
	bool none = false;
	json_t *p;

	while ((p = connection_receive(s->connection, wait, &none)) != NULL) {
		int rc = 0;

		wait = false;
		if (json_object_get(p, "error") != NULL) {
			fprintf(stderr, "sluice: import: %s\n",
				json_str(p, "error"));
			rc = EX_UNAVAILABLE;
		} else {
			answer_apply(s, p);
		}
		json_decref(p);
		if (rc != 0)
			return rc;
	}
	if (none)
		return 0;
	fputs("sluice: sluiced went away; run the import again: it goes on "
	      "where it was\n",
	      stderr);
	return EX_UNAVAILABLE;
}

/* One packet: `count` files of the batch from `from` on. */
static int packet_send(struct import_session *s, uint32_t from, uint32_t count)
{
	json_t *files = json_array();

	for (uint32_t i = from; i < from + count; i++)
		json_array_append(files, json_array_get(s->batch, i));
	return connection_send(s->connection,
			       json_pack("{s:o}", "files", files),
			       s->fds + from, count);
}

/* How many files of the batch from `at` on fit into one packet. */
static uint32_t packet_files(const struct import_session *s, uint32_t at)
{
	uint32_t n = 0, bytes = 0;

	while (at + n < s->batch_count && n < PACKET_FILES) {
		bytes += s->bytes[at + n];
		if (n > 0 && bytes > PACKET_BYTES)
			break;
		n++;
	}
	return n;
}

static int batch_send(struct import_session *s)
{
	uint32_t n;
	int rc = 0;

	if (s->batch_count == 0)
		return 0;
	if (s->ops.batch != NULL)
		rc = s->ops.batch(s->user);
	for (uint32_t at = 0; rc == 0 && at < s->batch_count; at += n) {
		n = packet_files(s, at);
		rc = packet_send(s, at, n);
	}
	for (uint32_t i = 0; i < s->batch_count; i++)
		close(s->fds[i]);
	s->batch_count = 0;
	json_array_clear(s->batch);
	return rc != 0 ? rc : answers(s, false);
}

/* Entries and descriptors go side by side: one that cannot be said is refused
 * here, or all behind it would meet each other's files. */
static void batch_add(struct import_session *s, int fd, const char *name,
		      json_t *envelope, void *item)
{
	uint32_t tag = s->free_tags[s->free_count - 1];
	json_t *j = json_pack("{s:i,s:s,s:o*}", "tag", (int)tag, "name", name,
			      "envelope", envelope);
	size_t bytes = j ? json_dumpb(j, NULL, 0, JSON_COMPACT) : 0;

	if (bytes == 0 || bytes >= PACKET_BYTES) {
		close(fd);
		json_decref(j);
		s->ops.settled(s->user, item, IMPORT_REFUSED,
			       bytes == 0
				       ? "its name is no UTF-8"
				       : "its envelope is too large: split "
					 "the recipients over several lines");
		return;
	}
	s->free_count--;
	s->items[tag] = item;
	json_array_append_new(s->batch, j);
	s->bytes[s->batch_count] = (uint32_t)bytes + 1;
	s->fds[s->batch_count++] = fd;
}

int import_add(struct import_session *s, int fd, const char *name,
	       json_t *envelope, void *item)
{
	int rc = 0;

	sluice_assert(item != NULL);
	while (rc == 0 && s->free_count == 0) {
		rc = batch_send(s);
		if (rc == 0 && s->free_count == 0)
			rc = answers(s, true);
	}
	if (rc != 0) {
		close(fd);
		json_decref(envelope);
		return rc;
	}
	batch_add(s, fd, name, envelope, item);
	return s->batch_count == BATCH_FILES ? batch_send(s) : 0;
}

static void summary(struct import_session *s)
{
	double seconds = (double)(clock_monotonic_ns() - s->started_ns) / 1e9;
	char t[32];
	json_t *j;

	if (s->cli->json) {
		j = json_pack("{s:I,s:I,s:O,s:f}", "taken",
			      (json_int_t)s->taken, "known",
			      (json_int_t)s->known, "refused", s->refusals,
			      "seconds", seconds);
		print_json("sluice.import.1", j);
		json_decref(j);
		return;
	}
	text_count(s->taken, t);
	printf("taken %s messages in %.1f s (%.0f/s); %llu known from before, "
	       "%llu refused\n",
	       t, seconds, seconds > 0 ? (double)s->taken / seconds : 0.0,
	       (unsigned long long)s->known, (unsigned long long)s->refused);
	if (s->taken > 0)
		puts("they are held: `sluice release` lets them go");
}

/* All are answered: sluiced notes the import as done. What it says is what was
 * counted here, and nothing is lost without it. */
static void import_end(struct import_session *s)
{
	json_t *done = NULL;

	if (connection_send(s->connection, json_pack("{s:b}", "end", 1), NULL,
			    0) == 0)
		done = connection_receive(s->connection, true, NULL);
	json_decref(done);
}

int import_close(struct import_session **sp, int rc)
{
	struct import_session *s = *sp;

	if (rc == 0)
		rc = batch_send(s);
	while (rc == 0 && s->free_count < s->window)
		rc = answers(s, true);
	if (rc == 0)
		import_end(s);
	progress(s, true);
	summary(s);
	if (rc == 0 && s->refused > 0)
		rc = EX_DATAERR;
	/* Only now: answers that came in above used it. */
	*sp = NULL;
	session_free(s);
	return rc;
}

int verb_import(struct cli *cli)
{
	const char *kind = cli->arg_count > 0 ? cli->args[0] : "";

	if (strcmp(kind, "postfix") == 0 && cli->arg_count == 2)
		return import_postfix(cli, cli->args[1]);
	if (strcmp(kind, "eml") == 0 && cli->arg_count == 1 &&
	    cli->envelope_file != NULL)
		return import_eml(cli);
	fputs("usage: sluice import postfix QUEUE_DIRECTORY [--queue NAME]\n"
	      "       sluice import eml --envelope FILE.jsonl\n",
	      stderr);
	return EX_USAGE;
}

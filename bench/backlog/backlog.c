/* SPDX-License-Identifier: BSD-2-Clause
 *
 * backlog.c - `sluice-bench backlog`: makes N messages as a queue to import.
 *
 * Called by main(), on its thread. Bound: one message in memory at a time.
 * Errors: EX_USAGE for wrong options, EX_CANTCREAT when a file cannot be
 * written; what was written until then stays.
 */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "backlog/message.h"
#include "backlog/output.h"
#include "bench.h"
#include "common/options.h"
#include "ledger/ledger.h"
#include "sluice/assert.h"
#include "sluice/clock.h"
#include "sluice/config.h"

struct backlog {
	uint64_t messages, seed, first_index, now_s, spread_ns;
	const char *size, *format, *profile_name, *domains_file, *ledger_path;
	struct output_options output;
	bool json, plain;
	/* made from those */
	struct message_options message;
	struct profile *profile;
	struct message_generator *generator;
	struct ledger_writer *ledger;
	/* results */
	uint64_t rcpts, bytes, ns;
};

static const char summary[] =
	"Makes messages that look like a campus mail hub's backlog.\n"
	"The same seed, --now and options give the same messages, always.";

static int backlog_options(struct backlog *b, int argc, char **argv)
{
	const struct option_spec specs[] = {
		{"messages", "N", "how many", OPTION_NUMBER, &b->messages, 1,
		 UINT32_MAX},
		{"size", "SIZE[:DIST]",
		 "mean size, 'spread' (default) or 'fixed'; 4KiB", OPTION_TEXT,
		 &b->size, 0, 0},
		{"seed", "S", "of the random numbers; 1", OPTION_NUMBER,
		 &b->seed, 0, 0},
		{"format", "F", "postfix, eml or spool", OPTION_TEXT,
		 &b->format, 0, 0},
		{"output", "DIR", "where to; made if it is not there",
		 OPTION_TEXT, &b->output.dir, 0, 0},
		{"profile", "NAME", "campus", OPTION_TEXT, &b->profile_name, 0,
		 0},
		{"domains-file", "FILE",
		 "domains instead of the profile's: 'domain [weight]' lines",
		 OPTION_TEXT, &b->domains_file, 0, 0},
		{"first-index", "I", "number of the first message; 0",
		 OPTION_NUMBER, &b->first_index, 0, UINT32_MAX},
		{"ledger", "FILE", "write what must arrive, for the sink",
		 OPTION_TEXT, &b->ledger_path, 0, 0},
		{"now", "EPOCH", "seconds since 1970 of the newest message",
		 OPTION_NUMBER, &b->now_s, 86400, UINT32_MAX},
		{"spread", "TIME", "how long before that the oldest; 12h",
		 OPTION_DURATION, &b->spread_ns, 0, 86400ULL * 3650 * NS_PER_S},
		{"plain", NULL, "one recipient each, no unusual content",
		 OPTION_FLAG, &b->plain, 0, 0},
		{"queue", "NAME", "postfix: deferred or hold; deferred",
		 OPTION_TEXT, &b->output.queue, 0, 0},
		{"ids", "KIND", "postfix: short, long or mixed; mixed",
		 OPTION_TEXT, &b->output.ids, 0, 0},
		{"owner", "USER", "postfix: who the files belong to",
		 OPTION_TEXT, &b->output.owner, 0, 0},
		{"released", NULL, "spool: may go at once; otherwise held",
		 OPTION_FLAG, &b->output.released, 0, 0},
		{"json", NULL, "print the result as JSON", OPTION_FLAG,
		 &b->json, 0, 0},
		{0}};

	return options_parse("backlog", summary, specs, argc, argv);
}

/* "4KiB", "4KiB:fixed", "4KiB:spread". */
static int size_option(struct backlog *b)
{
	const char *colon = strchr(b->size, ':');
	char number[32];
	size_t len = colon ? (size_t)(colon - b->size) : strlen(b->size);

	if (len >= sizeof(number))
		return -EINVAL;
	memcpy(number, b->size, len);
	number[len] = 0;
	if (config_size_parse(number, &b->message.size_bytes) != 0)
		return -EINVAL;
	b->message.size_fixed = colon && strcmp(colon, ":fixed") == 0;
	if (colon && !b->message.size_fixed && strcmp(colon, ":spread") != 0)
		return -EINVAL;
	return b->message.size_bytes > (1ULL << 30) ? -EINVAL : 0;
}

static int backlog_check(struct backlog *b)
{
	if (!b->messages)
		return options_error(EX_USAGE, "backlog",
				     "--messages is needed");
	if (!b->output.dir)
		return options_error(EX_USAGE, "backlog", "--output is needed");
	if (size_option(b) != 0)
		return options_error(EX_USAGE, "backlog",
				     "--size: '%s' is no size like 4KiB or "
				     "4KiB:fixed, at most 1GiB",
				     b->size);
	b->message.seed = b->seed;
	b->message.plain = b->plain;
	b->message.now_s = b->now_s ? (uint32_t)b->now_s : clock_realtime_s();
	b->message.spread_s = (uint32_t)(b->spread_ns / NS_PER_S);
	if (b->message.spread_s > b->message.now_s)
		return options_error(EX_USAGE, "backlog",
				     "--spread reaches back before 1970");
	b->output.seed = b->seed;
	return OPTIONS_GO_ON;
}

static int output_start(struct backlog *b, struct output *out, struct err *e)
{
	if (strcmp(b->format, "postfix") == 0)
		return output_postfix_open(&b->output, out, e);
	if (strcmp(b->format, "eml") == 0)
		return output_eml_open(&b->output, out, e);
	if (strcmp(b->format, "spool") == 0)
		return output_spool_open(&b->output, out, e);
	return err_set(e, -EINVAL,
		       "--format '%s': there are postfix, eml and spool",
		       b->format);
}

static void ledger_add(struct backlog *b, const struct message *m)
{
	struct digest d = digest_content(m->content.data, m->content.len);
	bool open = m->traits & MESSAGE_NO_NEWLINE;
	char id[48];

	message_id(b->seed, m->index, id);
	for (uint32_t i = 0; i < m->rcpt_count; i++)
		ledger_writer_add(b->ledger, id, m->rcpts[i], m->sender, &d,
				  m->content.len + (open ? 2 : 0));
}

static int messages_make(struct backlog *b, struct output *out, struct err *e)
{
	struct message m = {0};
	int err = 0;

	for (uint64_t i = 0; i < b->messages && !err; i++) {
		message_make(b->generator, b->first_index + i, &m);
		err = out->put(out->state, &m, e);
		if (b->ledger)
			ledger_add(b, &m);
		b->rcpts += m.rcpt_count;
		b->bytes += m.content.len;
	}
	message_fini(&m);
	return err;
}

static int backlog_make(struct backlog *b, struct err *e)
{
	struct output out = {0};
	struct err late = {{0}};
	uint64_t start_ns = clock_monotonic_ns();
	int err, finish;

	err = output_start(b, &out, e);
	if (err)
		return err;
	sluice_assert(out.put && out.finish);
	b->generator = message_generator_create(&b->message, b->profile);
	err = messages_make(b, &out, e);
	message_generator_destroy(&b->generator);
	finish = out.finish(out.state, &late);
	if (!err && finish) {
		err = finish;
		*e = late;
	}
	b->ns = clock_monotonic_ns() - start_ns;
	return err;
}

static void result_print(const struct backlog *b)
{
	double seconds = (double)b->ns / NS_PER_S;
	json_t *j;

	if (!b->json) {
		printf("%llu messages, %llu recipients, %llu bytes in %.1f s "
		       "(%.0f/s) as %s in %s\n",
		       (unsigned long long)b->messages,
		       (unsigned long long)b->rcpts,
		       (unsigned long long)b->bytes, seconds,
		       (double)b->messages / seconds, b->format, b->output.dir);
		return;
	}
	j = json_pack("{s:s, s:I, s:I, s:I, s:f, s:f, s:s, s:s, s:I, s:I}",
		      "schema", "sluice-bench.backlog.1", "messages",
		      (json_int_t)b->messages, "recipients",
		      (json_int_t)b->rcpts, "bytes", (json_int_t)b->bytes,
		      "seconds", seconds, "rate", (double)b->messages / seconds,
		      "format", b->format, "output", b->output.dir, "seed",
		      (json_int_t)b->seed, "now", (json_int_t)b->message.now_s);
	json_object_set_new(j, "ledger",
			    b->ledger_path ? json_string(b->ledger_path)
					   : json_null());
	json_dumpf(j, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(j);
}

int bench_backlog(int argc, char **argv)
{
	struct backlog b = {.seed = 1,
			    .size = "4KiB",
			    .format = "postfix",
			    .profile_name = "campus",
			    .spread_ns = 12ULL * 3600 * NS_PER_S,
			    .output = {.queue = "deferred", .ids = "mixed"}};
	struct err e = {{0}}, late = {{0}};
	int status = backlog_options(&b, argc, argv), err;

	if (status == OPTIONS_GO_ON)
		status = backlog_check(&b);
	if (status != OPTIONS_GO_ON)
		return status;
	err = b.domains_file ? profile_load(b.domains_file, &b.profile, &e)
			     : profile_create(b.profile_name, &b.profile, &e);
	if (err)
		return options_error(err == -EINVAL ? EX_USAGE : EX_NOINPUT,
				     "backlog", "%s", e.text);
	if (b.ledger_path)
		err = ledger_writer_open(&b.ledger, b.ledger_path, &e);
	if (!err)
		err = backlog_make(&b, &e);
	if (ledger_writer_close(&b.ledger, &late) != 0 && !err) {
		err = -EIO;
		e = late;
	}
	profile_destroy(&b.profile);
	if (err)
		return options_error(err == -EINVAL ? EX_USAGE : EX_CANTCREAT,
				     "backlog", "%s", e.text);
	result_print(&b);
	return EX_OK;
}

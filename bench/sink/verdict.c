/* SPDX-License-Identifier: BSD-2-Clause
 *
 * verdict.c - the sink's last words: CSV of arrivals, verdict as text.
 *
 * Called once, at the end. Bound: one line per accepted message.
 * Errors: -errno with the file's name.
 */
#include <errno.h>
#include <stdio.h>

#include "backlog/message.h"
#include "sink/sink_priv.h"
#include "sluice/clock.h"

static void arrival_print(const struct sink *s, const struct sink_arrival *a,
			  FILE *f)
{
	const struct sink_peer *p = s->peers[a->peer];
	char id[48] = "";

	if (a->known)
		message_id(a->seed, a->index, id);
	fprintf(f, "%llu,%llu,%s,%s,%s,%s,%u\n", (unsigned long long)a->mail_ns,
		(unsigned long long)a->done_ns, p->listener->name, p->name,
		intern_text(s->domains, a->domain), id, a->rcpts);
}

int sink_arrivals_write(const struct sink *s, struct err *e)
{
	int err = 0;
	FILE *f;

	if (!s->arrivals_path)
		return 0;
	f = fopen(s->arrivals_path, "we");
	if (!f)
		return err_set(e, -errno, "cannot write %s: %s",
			       s->arrivals_path, err_name(errno));
	fputs("mail_ns,done_ns,listener,client,domain,message,recipients\n", f);
	for (uint64_t i = 0; i < s->arrival_count; i++)
		arrival_print(s, &s->arrivals[i], f);
	if (ferror(f))
		err = -EIO;
	if (fclose(f) != 0 && !err)
		err = -errno;
	return err ? err_set(e, err, "cannot write %s: %s", s->arrivals_path,
			     err_name(err))
		   : 0;
}

bool sink_verdict_is_clean(const struct sink *s)
{
	struct ledger_counts n;

	if (!s->ledger)
		return true;
	ledger_counts(s->ledger, &n);
	return !n.lost && !n.altered && !n.duplicated && !n.unknown;
}

void sink_verdict_print(const struct sink *s, FILE *f)
{
	const struct sink_counts *c = &s->counts;
	double seconds = (double)(c->last_ns - c->first_ns) / NS_PER_S;
	struct ledger_counts n;

	fprintf(f, "%llu messages, %llu recipients in %.2f s: %.0f/s\n",
		(unsigned long long)c->messages,
		(unsigned long long)c->recipients, seconds,
		seconds > 0 ? (double)(c->messages - 1) / seconds : 0);
	if (!s->ledger)
		return;
	ledger_counts(s->ledger, &n);
	fprintf(f,
		"expected %llu: delivered %llu, lost %llu, duplicated %llu, "
		"altered %llu; unknown %llu\n",
		(unsigned long long)n.expected, (unsigned long long)n.delivered,
		(unsigned long long)n.lost, (unsigned long long)n.duplicated,
		(unsigned long long)n.altered, (unsigned long long)n.unknown);
}

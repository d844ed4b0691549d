/* SPDX-License-Identifier: BSD-2-Clause
 *
 * import.c - the window of files that are being taken over.
 *
 * Called by the command socket's import verb and once per loop turn; role
 * worker. A file goes slot: ready -> desk -> commit -> done.
 * Bound: options.window slots, options.desks desks.
 * Errors: per file, as a sentence in its result.
 */
#include "intake/import.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "intake/import_priv.h"
#include "sluice/assert.h"

#define WINDOW_DEFAULT 256u
#define DESKS_DEFAULT  16u
#define COPIED_TEXTS   5u

static void list_push(struct import *im, struct slot_list *l, uint32_t n)
{
	im->slots[n].next = IMPORT_NONE;
	if (l->head == IMPORT_NONE)
		l->head = n;
	else
		im->slots[l->tail].next = n;
	l->tail = n;
}

static struct import_slot *list_pop(struct import *im, struct slot_list *l)
{
	struct import_slot *s;

	if (l->head == IMPORT_NONE)
		return NULL;
	s = &im->slots[l->head];
	l->head = s->next;
	return s;
}

static uint32_t slot_number(const struct import_slot *s)
{
	return (uint32_t)(s - s->im->slots);
}

static void slots_free(struct import *im)
{
	for (uint32_t i = 0; im->slots && i < im->window; i++)
		envelope_build_fini(&im->slots[i].env);
	for (uint32_t i = 0; im->desks && i < im->desk_count; i++)
		import_desk_fini(&im->desks[i]);
	free(im->slots);
	free(im->desks);
	free(im->storing);
	im->magic = 0;
	free(im);
}

static int slots_init(struct import *im)
{
	struct slot_list none = {IMPORT_NONE, IMPORT_NONE};
	int rc = 0;

	im->slots = calloc(im->window, sizeof(*im->slots));
	im->desks = calloc(im->desk_count, sizeof(*im->desks));
	im->storing = calloc(im->window, sizeof(*im->storing));
	if (!im->slots || !im->desks || !im->storing)
		return -ENOMEM;
	im->free = im->ready = im->report = none;
	for (uint32_t i = 0; i < im->window && !rc; i++) {
		im->slots[i].im = im;
		im->slots[i].fd = -1;
		rc = envelope_build_init(&im->slots[i].env, ENVELOPE_TEXT_MAX);
		list_push(im, &im->free, i);
	}
	for (uint32_t i = 0; i < im->desk_count && !rc; i++)
		rc = import_desk_init(&im->desks[i], im);
	return rc;
}

int import_create(struct import **out, struct io *io, struct spool *sp,
		  const struct import_options *o, const struct import_ops *ops,
		  void *user)
{
	struct import *im = calloc(1, sizeof(*im));
	int rc;

	sluice_assert(io && sp && ops->known && ops->done);
	if (!im)
		return -ENOMEM;
	im->magic = IMPORT_MAGIC;
	im->io = io;
	im->sp = sp;
	im->ops = *ops;
	im->user = user;
	im->window = o && o->window ? o->window : WINDOW_DEFAULT;
	im->desk_count = o && o->desks ? o->desks : DESKS_DEFAULT;
	rc = slots_init(im);
	if (rc) {
		slots_free(im);
		return rc;
	}
	*out = im;
	return 0;
}

void import_destroy(struct import **imp)
{
	struct import *im = *imp;

	*imp = NULL;
	if (!im)
		return;
	MAGIC_CHECK(im, IMPORT_MAGIC);
	slots_free(im);
}

static int rcpts_copy(struct envelope_build *b, const struct envelope *env)
{
	int rc = 0;

	for (uint32_t i = 0; i < env->rcpt_count && !rc; i++) {
		const struct envelope_rcpt *from = &env->rcpts[i];
		struct envelope_rcpt r = {.notify = from->notify};

		rc = envelope_build_text(b, from->address.data,
					 from->address.len, &r.address);
		if (!rc)
			rc = envelope_build_text(b, from->orcpt.data,
						 from->orcpt.len, &r.orcpt);
		if (!rc)
			rc = envelope_build_rcpt(b, &r);
	}
	return rc;
}

static int envelope_copy(struct envelope_build *b, const struct envelope *env)
{
	struct envelope *to = &b->env;
	const struct text *from[COPIED_TEXTS] = {&env->sender, &env->envid,
						 &env->origin, &env->client,
						 &env->account};
	struct text *into[COPIED_TEXTS] = {&to->sender, &to->envid, &to->origin,
					   &to->client, &to->account};
	int rc = 0;

	envelope_build_reset(b);
	*to = *env;
	to->rcpt_count = 0;
	to->rcpts = NULL;
	for (size_t i = 0; i < COPIED_TEXTS && !rc; i++)
		rc = envelope_build_text(b, from[i]->data, from[i]->len,
					 into[i]);
	return rc ? rc : rcpts_copy(b, env);
}

static int slot_fill(struct import_slot *s, const struct import_file *f)
{
	struct stat st;

	if (strlen(f->name) >= IMPORT_NAME_BYTES || fstat(f->fd, &st) ||
	    !S_ISREG(st.st_mode))
		return -EINVAL;
	if (f->kind == IMPORT_EML) {
		if (!f->env || !f->env->rcpt_count)
			return -EINVAL;
		int rc = envelope_copy(&s->env, f->env);
		if (rc)
			return rc;
	} else if (f->kind != IMPORT_POSTFIX) {
		return -EINVAL;
	}
	memcpy(s->name, f->name, strlen(f->name) + 1);
	s->fd = f->fd;
	s->size_bytes = (uint64_t)st.st_size;
	s->tag = f->tag;
	s->owner = f->owner;
	s->forgotten = false;
	s->kind = f->kind;
	s->copy = f->copy;
	s->normalise = f->normalise;
	s->error.text[0] = '\0';
	return 0;
}

int import_submit(struct import *im, const struct import_file *f)
{
	int rc;

	MAGIC_CHECK(im, IMPORT_MAGIC);
	if (im->free.head == IMPORT_NONE)
		return -EAGAIN;
	rc = slot_fill(&im->slots[im->free.head], f);
	if (rc)
		return rc;
	struct import_slot *s = list_pop(im, &im->free);
	s->state = SLOT_READY;
	im->used++;
	list_push(im, &im->ready, slot_number(s));
	return 0;
}

uint32_t import_twin(const struct import *im, uint64_t digest)
{
	for (uint32_t i = 0; i < im->window; i++)
		if (im->storing[i] == digest)
			return i;
	return IMPORT_NONE;
}

static void slot_release(struct import_slot *s)
{
	struct import *im = s->im;

	s->state = SLOT_FREE;
	sluice_assert(im->used > 0);
	im->used--;
	list_push(im, &im->free, slot_number(s));
}

static void slot_count(struct import *im, const struct import_result *r)
{
	if (r->verdict == IMPORT_TAKEN) {
		im->stats.taken++;
		im->stats.bytes += r->stored->content_bytes;
	} else if (r->verdict == IMPORT_KNOWN) {
		im->stats.known++;
	} else {
		im->stats.refused++;
	}
}

/* Free first: done() may submit the next file. */
static void slot_tell(struct import_slot *s)
{
	struct import *im = s->im;
	struct import_result r = s->result;
	struct err error;

	if (r.verdict == IMPORT_REFUSED) {
		error = s->error;
		r.error = error.text;
	}
	slot_count(im, &r);
	bool tell = !s->forgotten;
	slot_release(s);
	if (tell)
		im->ops.done(im->user, &r);
}

void import_slot_done(struct import_slot *s, enum import_verdict v, uint64_t id,
		      const struct spool_stored *m)
{
	struct import *im = s->im;
	uint32_t n = slot_number(s);
	uint64_t digest = im->storing[n];

	s->result = (struct import_result){
		.tag = s->tag,
		.owner = s->owner,
		.verdict = (uint8_t)v,
		.id = id,
		.stored = m,
	};
	if (s->fd >= 0)
		io_close_fd(im->io, s->fd);
	s->fd = -1;
	im->storing[n] = 0;
	for (uint32_t i = 0; digest && i < im->desk_count; i++)
		import_desk_twin_done(&im->desks[i], digest,
				      v == IMPORT_TAKEN ? id : 0);
	/* What the spool tells is only valid now; all else can wait for the
	 * step, so that done() never runs inside submit(). */
	if (m) {
		slot_tell(s);
		return;
	}
	s->state = SLOT_REPORT;
	list_push(im, &im->report, n);
}

void import_slot_refuse(struct import_slot *s, int code)
{
	int error = code;

	if (!s->error.text[0])
		err_set(&s->error, code, "%s: %s", s->name,
			code == -ENOSPC
				? "no space: the spool is down to its reserve"
				: err_name(code));
	import_slot_done(s, IMPORT_REFUSED, 0, NULL);
	s->result.code = error;
}

static struct import_desk *desk_free(struct import *im)
{
	for (uint32_t i = 0; i < im->desk_count; i++)
		if (im->desks[i].state == DESK_FREE)
			return &im->desks[i];
	return NULL;
}

void import_step(struct import *im)
{
	struct import_desk *d;
	struct import_slot *s;

	MAGIC_CHECK(im, IMPORT_MAGIC);
	for (uint32_t i = 0; i < im->desk_count; i++)
		if (im->desks[i].state != DESK_FREE && !im->desks[i].reading)
			import_desk_run(&im->desks[i]);
	while (im->ready.head != IMPORT_NONE && (d = desk_free(im))) {
		s = list_pop(im, &im->ready);
		import_desk_start(d, s);
	}
	while ((s = list_pop(im, &im->report)))
		slot_tell(s);
}

bool import_idle(const struct import *im)
{
	return im->used == 0;
}

uint32_t import_room(const struct import *im)
{
	return im->window - im->used;
}

void import_forget(struct import *im, const void *owner)
{
	for (uint32_t i = 0; i < im->window; i++)
		if (im->slots[i].owner == owner)
			im->slots[i].forgotten = true;
}

void import_stats(const struct import *im, struct import_stats *out)
{
	*out = im->stats;
}

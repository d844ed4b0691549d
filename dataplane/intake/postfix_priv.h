/* SPDX-License-Identifier: BSD-2-Clause
 *
 * postfix_priv.h - shared by the files of the Postfix reader only.
 *
 * postfix_record.c walks records, postfix_address.c turns Postfix's internal
 * addresses into SMTP ones; postfix_envelope.c, postfix_fields.c,
 * postfix_attrs.c and postfix_rcpts.c read the envelope; postfix_queue.c drives
 * both passes.
 */
#ifndef SLUICE_INTAKE_POSTFIX_PRIV_H
#define SLUICE_INTAKE_POSTFIX_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "intake/content_out.h"
#include "intake/envelope_build.h"
#include "intake/postfix_queue.h"

/* An envelope record is short; content may come in lines of any length. */
#define POSTFIX_ENVELOPE_RECORD_MAX 32768u
/* type + at most four length bytes, seven bits each */
#define POSTFIX_RECORD_HEADER_MAX 5u

enum postfix_record_type {
	POSTFIX_SIZE = 'C',
	POSTFIX_TIME = 'T',
	POSTFIX_CTIME = 'c',
	POSTFIX_FULL_NAME = 'F',
	POSTFIX_INSPECT = 'I',
	POSTFIX_FILTER = 'L', /* in an envelope; in content: POSTFIX_CONT */
	POSTFIX_FROM = 'S',
	POSTFIX_DONE = 'D',
	POSTFIX_RCPT = 'R',
	POSTFIX_ORIG_RCPT = 'O',
	POSTFIX_CANCELLED = '/',
	POSTFIX_WARN = 'W',
	POSTFIX_ATTR = 'A',
	POSTFIX_KILLED = 'K',
	POSTFIX_REDIRECT = '>',
	POSTFIX_FLAGS = 'f',
	POSTFIX_DELAY = 'd',
	POSTFIX_MILTERS = 'm',
	POSTFIX_MESSAGE = 'M',
	POSTFIX_CONT = 'L',
	POSTFIX_NORM = 'N',
	POSTFIX_PADDING = 'w',
	POSTFIX_EXTRACTED = 'X',
	POSTFIX_RETURN_RECEIPT = 'r',
	POSTFIX_ERRORS_TO = 'e',
	POSTFIX_PRIORITY = 'P',
	POSTFIX_POINTER = 'p',
	POSTFIX_VERP = 'V',
	POSTFIX_DSN_RET = '<',
	POSTFIX_DSN_ENVID = 'i',
	POSTFIX_DSN_ORCPT = 'o',
	POSTFIX_DSN_NOTIFY = 'n',
	POSTFIX_END = 'E'
};

struct postfix_record {
	uint8_t type;
	uint32_t len;
	uint64_t at;      /* of its type byte */
	uint64_t data_at; /* of its payload */
	const char *data; /* whole payload; NULL when len > AT_MAX - header */
};

/* One walk over records. Each byte of a file is read at most once by a walk
 * that ends: more means that the pointers run in a circle. */
struct postfix_walk {
	const struct postfix_queue_source *src;
	struct err *e;
	uint64_t at;        /* where the next record starts */
	uint64_t walked;    /* bytes of all records seen */
	uint64_t jumped_to; /* target of the last jump */
	uint32_t jumps, jumps_back;
	const uint8_t *window;
	uint64_t window_at;
	uint32_t window_len;
};

void postfix_walk_init(struct postfix_walk *w,
		       const struct postfix_queue_source *src, uint64_t at,
		       struct err *e);
/* The next record; pointers are followed and never returned. */
int postfix_walk_next(struct postfix_walk *w, struct postfix_record *r);
/* `len` <= POSTFIX_QUEUE_AT_MAX bytes of a payload. */
int postfix_walk_bytes(struct postfix_walk *w, uint64_t at, uint32_t len,
		       const char **out);
/* Decimal digits, blanks before them; false: something else. */
bool postfix_number(const char *data, uint32_t len, uint64_t *out,
		    uint32_t *used);
/* "'R'" or "0x80" for sentences; returns `buf`. */
const char *postfix_type_text(uint8_t type, char buf[8]);

/* Recipient options wait for the record of their recipient. */
struct postfix_pending {
	struct text orcpt;    /* wire form */
	struct text original; /* Postfix's internal form */
	uint8_t notify;
	uint64_t at; /* of the first; 0 = none pending */
};

struct postfix_queue {
	uint32_t magic;
	struct envelope_build build;
	struct content_out out;
	/* of the file being read */
	const struct postfix_queue_ops *ops;
	void *user;
	const char *name;
	struct postfix_walk walk;
	struct err *e;
	uint8_t phase;   /* enum postfix_phase */
	bool extracted;  /* past the content */
	uint64_t end_at; /* behind the end record */
	uint32_t envelope_jumps;
	struct postfix_record line; /* a long one, in pieces */
	uint32_t line_done;
	uint32_t seen; /* enum postfix_seen bits */
	uint64_t content_at, extracted_at;
	uint32_t utf8_flags; /* of the size record */
	uint32_t rcpts_done;
	struct text redirect; /* wire form */
	uint64_t filter_at;   /* last record of that kind; 0 = none */
	uint64_t verp_at;
	bool client_logged; /* log_client_address beats client_address */
	struct postfix_pending pending;
};

enum postfix_seen {
	SEEN_SIZE = 1,
	SEEN_TIME = 2,
	SEEN_FROM = 4,
	SEEN_REDIRECT = 8
};

enum postfix_phase {
	PHASE_FIRST,   /* the size record */
	PHASE_BEFORE,  /* envelope before the content */
	PHASE_SKIPPED, /* the record behind the content */
	PHASE_AFTER,   /* envelope behind the content, up to the end record */
	PHASE_WHOLE,   /* the envelope is read */
	PHASE_CONTENT,
	PHASE_LINE, /* inside a line longer than the window */
	PHASE_END
};

/* One record of phases FIRST to AFTER. */
int postfix_envelope_step(struct postfix_queue *q);
/* PHASE_WHOLE: the rules that need all of it. */
int postfix_envelope_finish(struct postfix_queue *q);
/* One envelope record that is not structure; what it says goes to q. */
int postfix_field(struct postfix_queue *q, const struct postfix_record *r);
int postfix_field_size(struct postfix_queue *q, const struct postfix_record *r);

/* The record says something that cannot be right: -EBADMSG. */
int postfix_field_bad(struct postfix_queue *q, const struct postfix_record *r,
		      const char *what);
/* `rc` of envelope_build, with a sentence if it is an error. */
int postfix_field_build(struct postfix_queue *q, const struct postfix_record *r,
			int rc);

/* postfix_rcpts.c and postfix_attrs.c: one kind of record each */
#define POSTFIX_FIELD(name)                                                    \
	int postfix_field_##name(struct postfix_queue *q,                      \
				 const struct postfix_record *r)
POSTFIX_FIELD(attr);
POSTFIX_FIELD(done);
POSTFIX_FIELD(envid);
POSTFIX_FIELD(notify);
POSTFIX_FIELD(orcpt);
POSTFIX_FIELD(original);
POSTFIX_FIELD(rcpt);
POSTFIX_FIELD(redirect);
POSTFIX_FIELD(ret);

enum postfix_address_kind { POSTFIX_SENDER, POSTFIX_RECIPIENT };
int postfix_field_address(struct postfix_queue *q,
			  const struct postfix_record *r,
			  enum postfix_address_kind kind, struct text *out);
/* Internal form (unquoted) to SMTP form. -EINVAL with the reason in `why`. */
int postfix_address(struct envelope_build *b, enum postfix_address_kind kind,
		    const char *data, uint32_t len, struct text *out,
		    const char **why);

#endif

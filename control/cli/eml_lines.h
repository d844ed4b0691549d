/* SPDX-License-Identifier: BSD-2-Clause
 *
 * eml_lines.h - lines of envelope.jsonl, as `sluice import eml` reads them.
 *
 * One thread.
 */
#ifndef SLUICE_CLI_EML_LINES_H
#define SLUICE_CLI_EML_LINES_H

#include "export.h"

/* What one line may have, so that the import can send it in one packet. */
#define EML_LINE_BYTES 48000u

/* The lines of a message, each with its newline: a list of strings. More than
 * one only when the recipients do not fit. NULL: some text in it is no UTF-8,
 * or out of memory. */
json_t *eml_lines(const struct export_message *m, const char *file);

#endif

import { Hono } from 'hono';
import { html } from 'hono/html';
import { z } from 'zod';
import { ApprovalIdSchema } from '../../schema/approval.ts';
import { PlatformError } from '../../schema/errors.ts';
import { NameSchema } from '../../schema/ids.ts';
import type { ApiEnvironment } from './api-dependencies.ts';

const PlaceSchema = z.object({ org: NameSchema, project: NameSchema, id: ApprovalIdSchema });

/**
 * Where links of messages lead: which approval it is, and how to look at it and answer. It says nothing of what is in it, because whoever
 * opens a link is nobody yet.
 */
export const approvalPages = new Hono<ApiEnvironment>().get('/:org/:project/:id', (context) => {
  const place = PlaceSchema.safeParse(context.req.param());
  if (!place.success) throw new PlatformError('not_found', `There is nothing at ${context.req.method} ${context.req.path}.`);
  const { org, project, id } = place.data;
  const where = [...(org === 'default' ? [] : [`--org ${org}`]), ...(project === 'default' ? [] : [`--project ${project}`])]
    .map((option) => ` ${option}`)
    .join('');
  context.header('content-security-policy', "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'");
  context.header('referrer-policy', 'no-referrer');
  return context.html(
    html`<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width,initial-scale=1"><title>Approval ${id}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:40rem;margin:3rem auto;padding:0 1rem;color:#1b1f24;background:#fff}
h1{font-size:1.4rem;overflow-wrap:anywhere}pre{background:#f3f4f6;padding:1rem;white-space:pre-wrap;overflow-wrap:anywhere;border-radius:6px}@media(prefers-color-scheme:dark){body{color:#e6e6e6;background:#15181c}pre{background:#22262b}}</style></head>
<body><main><h1>Approval ${id}</h1><p>In ${org}/${project}. What it would do is shown to those who may see it, after a login:</p>
<pre>quarterdeck login --fresh
quarterdeck approvals show ${id}${where}</pre>
<p>Read it whole, then answer one of the two. No answer counts as no, and changes nothing.</p>
<pre>quarterdeck approvals approve ${id}${where}
quarterdeck approvals deny ${id}${where} --comment "why"</pre></main></body></html>`,
  );
});

-- Which events no webhook brought: where those are all there is, webhooks do not find their way to us.

ALTER TABLE inbox ADD COLUMN swept boolean NOT NULL DEFAULT false;

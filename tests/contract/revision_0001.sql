BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE decisions (
	id TEXT NOT NULL, 
	created_at FLOAT NOT NULL, 
	"key" TEXT NOT NULL, 
	x BLOB NOT NULL, 
	record TEXT NOT NULL, 
	texts TEXT, 
	deleted_at FLOAT, 
	PRIMARY KEY (id)
);
INSERT INTO "decisions" VALUES('d-1',1000.0,'',X'000000000000F03F000000000000C03F','{"arm":"loglik","candidates":[{"finish_reason":"stop","index":0,"logprob":-1.0,"tokens":2},{"finish_reason":"stop","index":1,"logprob":-2.0,"tokens":2},{"finish_reason":"stop","index":2,"logprob":-3.0,"tokens":2},{"finish_reason":"stop","index":3,"logprob":-4.0,"tokens":2}],"choices":{"consensus":1,"loglik":0},"degraded":[],"index":0,"log_position":4,"policy":"linucb","prompt_tokens":7,"propensity":0.5,"retention":"full","same_text":[0,1,0,3],"sampling":{"max_tokens":16,"n":4,"seed":null,"temperature":0.8,"top_p":1.0},"score":-1.0,"scored_by":"loglik","scores":{"loglik":[-1.0,-2.0,-3.0,-4.0]},"task":null,"timings":{"total":0.1},"truncated":false,"why":[{"arm":"loglik","mean":0.5,"probability":0.5,"width":1.0},{"arm":"consensus","mean":0.5,"probability":0.25,"width":1.0},{"arm":"relevance","mean":0.5,"probability":0.25,"width":1.0}]}','{"candidates":["a","b","a","c"],"metadata":{},"request":{"prompt":"p"},"stop":[]}',NULL);
INSERT INTO "decisions" VALUES('d-2',1000.0,'',X'000000000000F03F000000000000D03F','{"arm":"loglik","candidates":[{"finish_reason":"stop","index":0,"logprob":-1.0,"tokens":2},{"finish_reason":"stop","index":1,"logprob":-2.0,"tokens":2},{"finish_reason":"stop","index":2,"logprob":-3.0,"tokens":2},{"finish_reason":"stop","index":3,"logprob":-4.0,"tokens":2}],"choices":{"consensus":1,"loglik":0},"degraded":[],"index":0,"log_position":4,"policy":"linucb","prompt_tokens":7,"propensity":0.5,"retention":"full","same_text":[0,1,0,3],"sampling":{"max_tokens":16,"n":4,"seed":null,"temperature":0.8,"top_p":1.0},"score":-1.0,"scored_by":"loglik","scores":{"loglik":[-1.0,-2.0,-3.0,-4.0]},"task":null,"timings":{"total":0.1},"truncated":false,"why":[{"arm":"loglik","mean":0.5,"probability":0.5,"width":1.0},{"arm":"consensus","mean":0.5,"probability":0.25,"width":1.0},{"arm":"relevance","mean":0.5,"probability":0.25,"width":1.0}]}','{"candidates":["a","b","a","c"],"metadata":{},"request":{"prompt":"p"},"stop":[]}',NULL);
INSERT INTO "decisions" VALUES('d-3',1000.0,'',X'000000000000F03F000000000000E03F','{"arm":"loglik","candidates":[{"finish_reason":"stop","index":0,"logprob":-1.0,"tokens":2},{"finish_reason":"stop","index":1,"logprob":-2.0,"tokens":2},{"finish_reason":"stop","index":2,"logprob":-3.0,"tokens":2},{"finish_reason":"stop","index":3,"logprob":-4.0,"tokens":2}],"choices":{"consensus":1,"loglik":0},"degraded":[],"index":0,"log_position":4,"policy":"linucb","prompt_tokens":7,"propensity":0.5,"retention":"none","same_text":[0,1,0,3],"sampling":{"max_tokens":16,"n":4,"seed":null,"temperature":0.8,"top_p":1.0},"score":-1.0,"scored_by":"loglik","scores":{"loglik":[-1.0,-2.0,-3.0,-4.0]},"task":null,"timings":{"total":0.1},"truncated":false,"why":[{"arm":"loglik","mean":0.5,"probability":0.5,"width":1.0},{"arm":"consensus","mean":0.5,"probability":0.25,"width":1.0},{"arm":"relevance","mean":0.5,"probability":0.25,"width":1.0}]}',NULL,NULL);
CREATE TABLE events (
	position INTEGER NOT NULL, 
	kind TEXT NOT NULL, 
	created_at FLOAT NOT NULL, 
	decision_id TEXT, 
	x BLOB, 
	payload TEXT NOT NULL, 
	checksum TEXT NOT NULL, 
	PRIMARY KEY (position)
);
INSERT INTO "events" VALUES(1,'start',1.0,NULL,NULL,'{"body":{"learn_from":"reward","prior_diagonal":[1.0,2.0],"settings":{}},"replaces":[],"updates":[]}','e42d30a58262b1ac781d4882a74554809517998e174dfba8821148c001f4c7fb');
INSERT INTO "events" VALUES(2,'arm',1.0,NULL,NULL,'{"body":{"name":"loglik","prior_mean":[0.5,0.0]},"replaces":[],"updates":[]}','425b400a1c836a6602ae017e667a0fea29ca580e359e6cc3ef8fc95a56b843d5');
INSERT INTO "events" VALUES(3,'arm',1.0,NULL,NULL,'{"body":{"name":"consensus","prior_mean":[0.5,0.0]},"replaces":[],"updates":[]}','40dc4436fa3bebe08c67fdd02e4a8fe94076fb843b1b998cbc16d1656b835c23');
INSERT INTO "events" VALUES(4,'feedback',1.79531535628257131573e+09,'d-1',X'000000000000F03F000000000000C03F','{"body":{"kind":"reward","learned":true,"played":"loglik","reward":0.25},"replaces":[],"updates":[["loglik",0.25,1.0]]}','52d7319ef157769f173d88bd725e19a3d741a056844e716fe7094a51a1147119');
INSERT INTO "events" VALUES(5,'feedback',1.79531535630281567574e+09,'d-1',X'000000000000F03F000000000000C03F','{"body":{"kind":"reward","learned":true,"played":"loglik","reward":0.75},"replaces":[["loglik",0.25,1.0]],"updates":[["loglik",0.75,1.0]]}','338892ece384e13b3dd1393bfe279895185db5c336b4730b0f04c87a6205203e');
CREATE TABLE feedback (
	"key" TEXT NOT NULL, 
	identity TEXT NOT NULL, 
	decision_id TEXT NOT NULL, 
	digest TEXT, 
	body TEXT, 
	learned BOOLEAN NOT NULL, 
	reward FLOAT, 
	position INTEGER NOT NULL, 
	created_at FLOAT NOT NULL, 
	PRIMARY KEY ("key", identity)
);
INSERT INTO "feedback" VALUES('','decision:d-1::reward','d-1','4a4a3471a932fdf42ee62fc575df4a2cc5e643157109f84f2d22932c06ca28ff','{"decision_id":"d-1","reward":0.25,"source":""}',1,0.25,4,1.79531535628257131573e+09);
INSERT INTO "feedback" VALUES('','key:again','d-1','857d40e220a6279be7c5b90692f82a3c8f3215c7737c3bd7d26b649c1315ef97','{"decision_id":"d-1","reward":0.75,"source":""}',1,0.75,5,1.79531535630281567574e+09);
CREATE TABLE snapshots (
	position INTEGER NOT NULL, 
	digest TEXT NOT NULL, 
	checksum TEXT NOT NULL, 
	payload BLOB NOT NULL, 
	created_at FLOAT NOT NULL, 
	PRIMARY KEY (position)
);
INSERT INTO "snapshots" VALUES(4,'2a0671fa9b64f6cba3045780c331df53a54d9faa2863ddf72dc0f1e1ea90fa0a','9432c4de56255c4f245bb1bb4a083bc2a1a18335a353f6805c5fc473d59e1b00',X'50030000000000007B225F5F6D657461646174615F5F223A7B22686561646572223A227B5C2261726D735C223A207B5C22636F6E73656E7375735C223A207B5C2270756C6C735C223A20302C205C22757064617465735C223A20307D2C205C226C6F676C696B5C223A207B5C2270756C6C735C223A20312C205C22757064617465735C223A20317D7D2C205C226465636973696F6E735C223A20312C205C226C6561726E5F66726F6D5C223A205C227265776172645C222C205C22706172616D65746572735C223A207B5C226C6561726E5F66726F6D5C223A205C227265776172645C222C205C227072696F725F646961676F6E616C5C223A205B312E302C20322E305D2C205C2273657474696E67735C223A207B7D7D2C205C22706F736974696F6E5C223A20347D227D2C22636F6E73656E7375732F53223A7B226474797065223A22463634222C227368617065223A5B322C325D2C22646174615F6F666673657473223A5B302C33325D7D2C22636F6E73656E7375732F62223A7B226474797065223A22463634222C227368617065223A5B325D2C22646174615F6F666673657473223A5B33322C34385D7D2C22636F6E73656E7375732F7072696F725F6D65616E223A7B226474797065223A22463634222C227368617065223A5B325D2C22646174615F6F666673657473223A5B34382C36345D7D2C22636F6E73656E7375732F7265776172645F73756D223A7B226474797065223A22463634222C227368617065223A5B315D2C22646174615F6F666673657473223A5B36342C37325D7D2C226C6F676C696B2F53223A7B226474797065223A22463634222C227368617065223A5B322C325D2C22646174615F6F666673657473223A5B37322C3130345D7D2C226C6F676C696B2F62223A7B226474797065223A22463634222C227368617065223A5B325D2C22646174615F6F666673657473223A5B3130342C3132305D7D2C226C6F676C696B2F7072696F725F6D65616E223A7B226474797065223A22463634222C227368617065223A5B325D2C22646174615F6F666673657473223A5B3132302C3133365D7D2C226C6F676C696B2F7265776172645F73756D223A7B226474797065223A22463634222C227368617065223A5B315D2C22646174615F6F666673657473223A5B3133362C3134345D7D7D2020000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000E03F00000000000000000000000000000000000000000000F03F000000000000C03F000000000000C03F000000000000903F000000000000D03F000000000000A03F000000000000E03F0000000000000000000000000000D03F',1.0);
CREATE INDEX decisions_created_at ON decisions (created_at);
CREATE INDEX events_decision_id ON events (decision_id);
CREATE INDEX feedback_decision_id ON feedback (decision_id);
COMMIT;

// A proof holds for one secret, one speaker and one meeting.
#include "transport/proof/ring_proof.h"

#include <gtest/gtest.h>

namespace potluck {
namespace {

TEST(RingProof, HoldsForExactlyWhatItWasMadeOf) {
  const std::string secret(kRingSecretBytes, 's'), nonce(kNonceBytes, 'a'), other(kNonceBytes, 'b');
  const Meeting meeting{7, 3, kHeadPeer, stage_peer(0), nonce, other};
  const std::string proof = proof_of(secret, kHeadPeer, meeting);
  EXPECT_EQ(proof.size(), kProofBytes);
  EXPECT_TRUE(is_proof(proof, secret, kHeadPeer, meeting));
  EXPECT_FALSE(is_proof(proof, std::string(kRingSecretBytes, 't'), kHeadPeer, meeting));
  EXPECT_FALSE(is_proof(proof, secret, stage_peer(0), meeting));
  EXPECT_FALSE(is_proof(proof.substr(1), secret, kHeadPeer, meeting));
  EXPECT_FALSE(is_proof("", secret, kHeadPeer, meeting));
  for (const Meeting& another : {Meeting{8, 3, kHeadPeer, stage_peer(0), nonce, other},
                                 Meeting{7, 4, kHeadPeer, stage_peer(0), nonce, other},
                                 Meeting{7, 3, stage_peer(1), stage_peer(0), nonce, other},
                                 Meeting{7, 3, kHeadPeer, stage_peer(1), nonce, other},
                                 Meeting{7, 3, stage_peer(0), kHeadPeer, nonce, other},
                                 Meeting{7, 3, kHeadPeer, stage_peer(0), other, other},
                                 Meeting{7, 3, kHeadPeer, stage_peer(0), nonce, nonce},
                                 Meeting{7, 3, kHeadPeer, stage_peer(0), other, nonce}})
    EXPECT_FALSE(is_proof(proof, secret, kHeadPeer, another));
}

TEST(RingProof, RandomBytesAreNotTheSameTwice) {
  EXPECT_EQ(random_bytes(100).size(), 100u);
  EXPECT_NE(random_bytes(kNonceBytes), random_bytes(kNonceBytes));
}

}  // namespace
}  // namespace potluck
